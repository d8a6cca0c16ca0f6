"""Salesforce, read by simple-salesforce."""

import requests
from simple_salesforce import Salesforce, SalesforceLogin, format_soql


class Plain(requests.adapters.HTTPAdapter):
    """The client knows only https and hosts of Salesforce: this takes all of it to an address that is neither."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **more):
        request.url = f"{self.url}/{request.url.split('/', 3)[3]}"
        return super().send(request, **more)


class Account:
    def __init__(self, keys):
        session, host = requests.Session(), keys["url"].split("://")[1].rstrip("/")
        if keys["url"].startswith("http://"):
            session.mount("https://", Plain(keys["url"]))
            host = "acme.my.salesforce.com"
        domain = host.removesuffix(".salesforce.com")
        token, _ = SalesforceLogin(consumer_key=keys["client_id"], consumer_secret=keys["client_secret"], domain=domain, session=session)
        self.sf = Salesforce(session_id=token, instance=host, session=session, version="66.0")
        self.seen = set()

    def make(self):
        self.contact = self.sf.Contact.create({"LastName": "mediamill test"})["id"]
        return {"salesforce_contact": self.contact}

    def rows(self, text, **values):
        return self.sf.query_all(format_soql(text, **values))["records"]

    def notes(self):
        tasks = self.rows("SELECT Id, Description FROM Task WHERE WhoId = {who}", who=self.contact)
        return [task["Description"] or "" for task in tasks]

    def files(self):
        """Those that stand with the contact, and those that once did."""
        links = self.rows("SELECT ContentDocumentId FROM ContentDocumentLink WHERE LinkedEntityId = {who}", who=self.contact)
        self.seen.update(link["ContentDocumentId"] for link in links)
        found = []
        for id in self.seen:
            found += self.rows("SELECT ContentSize FROM ContentVersion WHERE ContentDocumentId = {id}", id=id)
        return [version["ContentSize"] for version in found]

    def remove(self):
        self.sf.Contact.delete(self.contact)
