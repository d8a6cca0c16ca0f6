#!/usr/bin/env python3
"""zdesk as judge of the fake: what it asks is understood, and it understands the answers.

    target/venv-crm/bin/python tests/judges/crm_zendesk.py
"""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "crm"))

from client import Client, concluded, judged
from zdesk import AuthenticationError, RateLimitError, Zendesk, ZendeskError, get_id_from_url


def tickets(desk, user):
    url = desk.ticket_create({"ticket": {"subject": "Voice", "requester_id": user, "external_id": "m1",
                                         "comment": {"body": "x", "public": False}}})
    id = get_id_from_url(url)
    judged("a ticket is created, and its place told", desk.ticket_show(id)["ticket"]["external_id"] == "m1")
    upload = desk.upload_create(data=b"ID3sound", filename="note.mp3", mime_type="audio/mpeg")["upload"]
    judged("a file is uploaded", upload["attachment"]["content_type"] == "audio/mpeg" and upload["token"])
    desk.ticket_update(id, {"ticket": {"comment": {"body": "file", "public": False, "uploads": [upload["token"]]},
                                       "metadata": {"mediamill_event": "e1"}}})
    comments = desk.ticket_comments(id)["comments"]
    judged("a comment has it", [len(item["attachments"]) for item in comments] == [0, 1])
    audits = desk.ticket_audits(id)["audits"]
    judged("the audit has the metadata", audits[-1]["metadata"]["custom"] == {"mediamill_event": "e1"})
    desk.ticket_tag_create(id, {"tags": ["a"]})
    desk.ticket_tags_update(id, {"tags": ["b"]})
    judged("tags are set and added", desk.ticket_tags(id)["tags"] == ["a", "b"])
    comment = comments[1]
    desk.ticket_comment_attachment_redact(id, comment["id"], comment["attachments"][0]["id"], {})
    desk.ticket_comment_redact(id, comment["id"], {"text": "file"})
    after = desk.ticket_comments(id)["comments"][1]
    judged("file and text are redacted", after["attachments"][0]["file_name"] == "redacted.txt" and "file" not in after["body"])
    judged("a redaction by the newer path", desk.comment_redaction_update(
        comment["id"], {"ticket_id": int(id), "html_body": "<redact>x</redact>"})["comment"]["id"] == comment["id"])
    desk.ticket_delete(id)
    try:
        desk.ticket_show(id)
        judged("a ticket is deleted", False)
    except ZendeskError as error:
        judged("a ticket is deleted", error.error_code == 404)


def main():
    crm = Client("zendesk")
    desk = Zendesk(crm.url, "agent@example.test", zdesk_api="zd-token")
    made = desk.users_create_or_update({"user": {"name": "Ann", "email": "ann@example.test", "phone": "+5511999990001",
                                                 "skip_verify_email": True}}, retval="content")["user"]
    judged("a user is created", made["id"] and crm.state()["mails"] == 0)
    found = desk.users_search(query="phone:5511999990001")
    judged("and found by phone", [user["id"] for user in found["users"]] == [made["id"]])
    judged("and has identities", {item["type"] for item in desk.user_identities(made["id"])["identities"]} == {"email", "phone_number"})
    judged("fields are listed", desk.ticket_fields_list()["ticket_fields"][0]["title"] == "Subject")
    tickets(desk, made["id"])
    judged("no mail went out", crm.state()["mails"] == 0)
    try:
        Zendesk(crm.url, "agent@example.test", zdesk_api="wrong").ticket_fields_list()
        judged("a wrong token is refused", False)
    except AuthenticationError:
        judged("a wrong token is refused", True)
    crm.faults({"fault": "quota"})
    try:
        desk.ticket_fields_list()
        judged("an empty quota is RateLimitError", False)
    except RateLimitError as error:
        judged("an empty quota is RateLimitError", error.error_code == 429 and error.response.headers["Retry-After"] == "2")
    crm.faults({"fault": "quota"})
    desk.retry_on, desk.max_retries = {429}, 1
    judged("told to, the client waits as Retry-After says", desk.ticket_fields_list()["count"] == 1)
    return concluded()


sys.exit(main())
