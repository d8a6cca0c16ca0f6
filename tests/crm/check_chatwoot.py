"""The quirks of Chatwoot that the fake has to have: `python3 tests/crm/check_chatwoot.py`."""

import sys

from client import Client, concluded, judged

V = "/api/v1/accounts/1"


def access(crm):
    judged("the token has a header of its own", crm.call("GET", f"{V}/contacts/search?q=x").status == 200)
    bearer = crm.call("GET", f"{V}/contacts/search?q=x", headers={"api_access_token": "", "Authorization": "Bearer cw-token"})
    judged("Bearer is no way in", bearer.status == 401)
    judged("another account is not there", crm.call("GET", "/api/v1/accounts/2/contacts/search?q=x").status == 404)


def contacts(crm):
    made = crm.call("POST", f"{V}/contacts", {"name": "Ann", "phone_number": "+5511999990001", "inbox_id": 1})
    judged("a contact is made with its inbox", made.json()["payload"]["contact"]["id"] and "contact_inbox" in made.json()["payload"])
    for body in ({"phone_number": "11 99999-0001"}, {"phone_number": "+5511999990001"}):
        judged(f"{body['phone_number']} is refused", crm.call("POST", f"{V}/contacts", body).status == 422)
    plus = crm.call("GET", f"{V}/contacts/search?q=%2B5511999990001").json()
    judged("a number is found as it stands", plus["meta"]["count"] == 1)
    judged("a plus that is not encoded is a blank", crm.call("GET", f"{V}/contacts/search?q=x+5511999990001").json()["payload"] == [])
    judged("a search needs a text", crm.call("GET", f"{V}/contacts/search?q=").status == 422)
    for at in range(16):
        crm.act("contact", name=f"many {at}")
    first = crm.call("GET", f"{V}/contacts/search?q=many").json()
    judged("a page has 15", first["meta"] == {"count": 15, "current_page": 1, "has_more": True})
    return made.json()["payload"]["contact"]["id"]


def messages(crm, contact):
    talk = crm.call("POST", f"{V}/conversations", {"contact_id": contact, "inbox_id": 1}).json()["id"]
    judged("conversations are counted from 1", talk == 1)
    path = f"{V}/conversations/{talk}/messages"
    crm.call("POST", path, {"content": "hello"})
    judged("a message is for the customer unless it is private", crm.state()["sent"] == 1)
    crm.call("POST", path, {"content": "note", "private": True})
    judged("a private one is not", crm.state()["sent"] == 1)
    parts = [("content", None, None, b"voice"), ("private", None, None, b"true"), ("attachments[]", "note.mp3", "audio/mpeg", b"ID3sound")]
    file = crm.call("POST", path, parts=parts).json()
    judged("multipart brings files", file["attachments"][0]["file_type"] == "audio" and file["private"] is True and crm.state()["sent"] == 1)
    url = file["attachments"][0]["data_url"].removeprefix(crm.url)
    judged("which are read at their URL", crm.call("GET", url).body == b"ID3sound")
    lone = [("content", None, None, b"x"), ("private", None, None, b"true"), ("attachments", "a.mp3", "audio/mpeg", b"x")]
    judged("a part without brackets is ignored", crm.call("POST", path, parts=lone).json()["attachments"] == [])
    judged("an incoming message needs an API channel", crm.call("POST", path, {"content": "x", "message_type": "incoming"}).status == 422)
    judged("150,000 characters are the most", crm.call("POST", path, {"content": "x" * 150_001, "private": True}).status == 422)
    crm.act("set", file_bytes=4)
    judged("a large file is 422", crm.call("POST", path, parts=parts).status == 422)
    gone = crm.call("DELETE", f"{path}/{file['id']}").json()
    judged("what is deleted stays, without its file", gone["content_attributes"] == {"deleted": True} and gone["attachments"] == []
           and crm.call("GET", url).status == 404)
    for at in range(25):
        crm.act("message", conversation=talk, content=f"{at}")
    last = crm.call("GET", path).json()["payload"]
    judged("a page has the last 20", len(last) == 20 and last[-1]["content"] == "24")
    older = crm.call("GET", f"{path}?before={last[0]['id']}").json()["payload"]
    judged("older ones come before an id", older[-1]["id"] < last[0]["id"])
    judged("a contact's conversations are listed", [item["id"] for item in
                                                   crm.call("GET", f"{V}/contacts/{contact}/conversations").json()["payload"]] == [talk])
    crm.call("POST", f"{V}/conversations/{talk}/labels", {"labels": ["a", "b"]})
    judged("labels replace", crm.call("POST", f"{V}/conversations/{talk}/labels", {"labels": ["c"]}).json()["payload"] == ["c"])


def limits(crm):
    judged("what is not there is 404", crm.call("GET", f"{V}/conversations/99").status == 404)
    crm.act("set", per_min=1)
    got = crm.call("GET", f"{V}/contacts/search?q=x")
    judged("too many are 429, as text", got.status == 429 and got.body == b"Retry later\n")
    crm.act("set", per_min=3000)
    crm.act("revoke")
    judged("a token that is gone is 401", crm.call("GET", f"{V}/contacts/search?q=x").json() == {"error": "Invalid Access Token"})


def main():
    crm = Client("chatwoot", api_access_token="cw-token")
    access(crm)
    contact = contacts(crm)
    messages(crm, contact)
    limits(crm)
    return concluded()


sys.exit(main())
