#!/usr/bin/env python3
"""simple-salesforce as judge of the fake: what it asks is understood, and it understands the answers.

    target/venv-crm/bin/python tests/judges/crm_salesforce.py
"""

import pathlib
import subprocess
import sys
import tempfile

sys.path += [str(pathlib.Path(__file__).parents[1] / name) for name in ("crm", "account")]

import requests
from client import Client, concluded, judged
from salesforce_account import Plain
from simple_salesforce import Salesforce, SalesforceLogin, exceptions, format_soql

KEY = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def login(crm, session):
    """JWT bearer, as the client makes it."""
    with tempfile.TemporaryDirectory() as folder:
        private, public = folder + "/key", folder + "/public"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private],
                       capture_output=True, check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        crm.act("set", public_key=public)
        token, _ = SalesforceLogin(username="integration@example.test", consumer_key="consumer", privatekey_file=private, session=session)
        judged("JWT bearer gives a session", token.startswith("00D"))
        try:
            SalesforceLogin(username="ann@example.test", consumer_key="consumer", privatekey_file=private, session=session)
            judged("another user gets none", False)
        except exceptions.SalesforceAuthenticationFailed as error:
            judged("another user gets none", "invalid_grant" in str(error))
    token, _ = SalesforceLogin(consumer_key="consumer", consumer_secret="secret", domain="acme.my", session=session)
    judged("client credentials give a session", token.startswith("00D"))
    return token


def records(sf):
    made = sf.Contact.create({"LastName": "Ann", "MobilePhone": "+55 (11) 99999-0001"})
    judged("a contact is created", made["success"] and made["errors"] == [])
    judged("and read", sf.Contact.get(made["id"])["LastName"] == "Ann")
    judged("and changed", sf.Contact.update(made["id"], {"Email": "ann@example.test"}) == 204)
    found = sf.query(format_soql("SELECT Id, Email FROM Contact WHERE Email = {}", "ann@example.test"))
    judged("and found by SOQL", found["totalSize"] == 1 and found["records"][0]["Id"] == made["id"])
    text = "FIND {11999990001} IN PHONE FIELDS RETURNING Contact(Id, MobilePhone)"
    judged("and by SOSL", [item["Id"] for item in sf.search(text)["searchRecords"]] == [made["id"]])
    media = sf.Mediamill_Media__c
    judged("an upsert makes a record", media.upsert(f"Media_Key__c/{KEY}", {"Kind__c": "audio"}) == 201)
    judged("and then changes it", media.upsert(f"Media_Key__c/{KEY}", {"Kind__c": "voice"}) == 200)
    judged("it is read by its key", media.get_by_custom_id("Media_Key__c", KEY)["Kind__c"] == "voice")
    for key in ("b", "c"):
        sf.Contact.create({"LastName": key, "Mediamill_Phone__c": "55"})
    try:
        sf.Contact.upsert("Mediamill_Phone__c/55", {"LastName": "x"})
        judged("two matches are SalesforceMoreThanOneRecord", False)
    except exceptions.SalesforceMoreThanOneRecord as error:
        judged("two matches are SalesforceMoreThanOneRecord", len(error.content) == 2)
    try:
        sf.Contact.create({"LastName": "x" * 81})
        judged("a text that is too long is SalesforceMalformedRequest", False)
    except exceptions.SalesforceMalformedRequest as error:
        judged("a text that is too long is SalesforceMalformedRequest", error.content[0]["errorCode"] == "STRING_TOO_LONG")
    try:
        sf.Contact.get("003000000009999AAA")
        judged("what is not there is SalesforceResourceNotFound", False)
    except exceptions.SalesforceResourceNotFound:
        judged("what is not there is SalesforceResourceNotFound", True)
    names = {field["name"] for field in sf.Mediamill_Media__c.describe()["fields"]}
    judged("describe names the fields", {"Media_Key__c", "Link__c"} <= names)
    judged("the client reads the use of the quota", sf.api_usage["api-usage"].total == 15000)
    return made["id"]


def files(sf, session, crm, contact):
    version = sf.ContentVersion.create({"PathOnClient": "a.mp3", "Title": "a", "VersionData": "SUQzc291bmQ=",
                                        "FirstPublishLocationId": contact})
    judged("a file comes as base64", version["success"])
    got = session.get(f"{sf.base_url}sobjects/ContentVersion/{version['id']}/VersionData", headers=sf.headers)
    judged("and goes as bytes", got.content == b"ID3sound")
    document = sf.query(f"SELECT ContentDocumentId FROM ContentVersion WHERE Id = '{version['id']}'")["records"][0]["ContentDocumentId"]
    links = sf.query(f"SELECT LinkedEntityId FROM ContentDocumentLink WHERE ContentDocumentId = '{document}'")["records"]
    judged("it stands with the contact", [link["LinkedEntityId"] for link in links] == [contact])
    parts = {"entity_content": (None, b'{"PathOnClient":"b.mp3"}', "application/json"), "VersionData": ("b.mp3", b"ID3two", "audio/mpeg")}
    headers = {key: value for key, value in sf.headers.items() if key.lower() != "content-type"}
    sent = session.post(f"{sf.base_url}sobjects/ContentVersion/", files=parts, headers=headers)
    judged("multipart of a library that is not ours is taken", sent.status_code == 201 and sent.json()["success"])
    judged("a document is deleted", sf.ContentDocument.delete(document) == 204 and sf.query_all(
        f"SELECT Id FROM ContentVersion WHERE Id = '{version['id']}'")["totalSize"] == 0)


def main():
    crm = Client("salesforce")
    crm.act("install")
    session = requests.Session()
    session.mount("https://", Plain(crm.url))
    token = login(crm, session)
    sf = Salesforce(session_id=token, instance="acme.my.salesforce.com", session=session, version="66.0")
    contact = records(sf)
    files(sf, session, crm, contact)
    return concluded()


sys.exit(main())
