"""Zendesk, read by zdesk."""

import uuid

import requests
from zdesk import Zendesk, get_id_from_url


class Account:
    def __init__(self, keys):
        url = keys.get("url") or f"https://{keys['account']}.zendesk.com"
        form = {"grant_type": "client_credentials", "client_id": keys["client_id"], "client_secret": keys["client_secret"],
                "scope": "read write"}
        answer = requests.post(f"{url}/oauth/tokens", json=form, timeout=30)
        answer.raise_for_status()
        self.desk = Zendesk(url, zdesk_oauth=answer.json()["access_token"])

    def make(self):
        # Nobody gets a mail: the comment is private, and the user is made without one.
        user = self.desk.users_create_or_update({"user": {"name": "mediamill test", "skip_verify_email": True,
                                                          "external_id": f"mediamill-test-{uuid.uuid4().hex}"}}, retval="content")["user"]
        ticket = {"subject": "mediamill test", "requester_id": user["id"], "comment": {"body": "begin", "public": False}}
        self.user, self.ticket = user["id"], get_id_from_url(self.desk.ticket_create({"ticket": ticket}))
        return {"ticket": int(self.ticket)}

    def notes(self):
        return [comment["body"] for comment in self.comments()]

    def comments(self):
        return self.desk.ticket_comments(self.ticket)["comments"]

    def files(self):
        """Those that were not redacted."""
        files = [file for comment in self.comments() for file in comment["attachments"]]
        return [file["size"] for file in files if file["file_name"] != "redacted.txt"]

    def remove(self):
        self.desk.ticket_delete(self.ticket)
        self.desk.user_delete(self.user)
