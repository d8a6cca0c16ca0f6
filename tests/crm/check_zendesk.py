"""The quirks of Zendesk that the fake has to have: `python3 tests/crm/check_zendesk.py`."""

import base64
import sys

from client import Client, concluded, judged

V = "/api/v2"


def grant(crm, **form):
    return crm.call("POST", "/oauth/tokens", {"client_id": "client", "client_secret": "secret", **form})


def tokens(crm):
    got = grant(crm, grant_type="client_credentials", scope="read write")
    judged("client credentials give 30 minutes", got.json()["expires_in"] == 1800)
    judged("less than 5 minutes are refused", grant(crm, grant_type="client_credentials", expires_in=60).status == 400)
    first = grant(crm, grant_type="refresh_token", refresh_token="refresh-1").json()
    old = crm.call("GET", f"{V}/users/me", headers={"Authorization": "Bearer " + got.json()["access_token"]})
    judged("a refresh ends the old access token", old.status == 401 and old.json() == {"error": "Couldn't authenticate you"})
    judged("and the old refresh token", grant(crm, grant_type="refresh_token", refresh_token="refresh-1").json()["error"] == "invalid_grant")
    second = grant(crm, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    judged("the new one works", "access_token" in second)
    basic = {"Authorization": "Basic " + base64.b64encode(b"agent@example.test/token:zd-token").decode()}
    judged("an API token works as Basic", crm.call("GET", f"{V}/users/me.json", headers=basic).status == 200)
    crm.act("set", api_tokens=False)
    judged("until Zendesk ends them", crm.call("GET", f"{V}/users/me.json", headers=basic).status == 401)
    crm.headers["Authorization"] = "Bearer " + second["access_token"]


def users(crm):
    def upsert(**user):
        return crm.call("POST", f"{V}/users/create_or_update", {"user": user})

    quiet = upsert(name="Ann", email="ann@example.test", external_id="wa-1", skip_verify_email=True)
    judged("a new user is 201 with Location", quiet.status == 201 and quiet.headers["Location"])
    judged("and no mail goes out with skip_verify_email", crm.state()["mails"] == 0)
    again = upsert(name="Ann B", external_id="WA-1")
    judged("the external id is found in any case, and stored as it comes", again.status == 200 and again.json()["user"]["external_id"] == "WA-1"
           and again.json()["user"]["id"] == quiet.json()["user"]["id"])
    upsert(name="Bo", email="bo@example.test")
    judged("without it the customer gets a mail", crm.state()["mails"] == 1)
    judged("bulk is 403 until support enables it", crm.call("POST", f"{V}/users/create_or_update_many", {"users": []}).status == 403)
    crm.act("user", name="Cy", phone="+55 11 99999-0001")
    found = crm.call("GET", f"{V}/users/search?query=phone:99990001").json()
    judged("a phone is found by a part", found["count"] == 1)
    shared = crm.act("user", name="Di", phone="+15550100", shared_phone_number=True)["id"]
    judged("a shared number is no identity", crm.call("GET", f"{V}/users/{shared}/identities").json()["identities"] == [])
    crm.act("lag", seconds=30)
    crm.act("user", name="Late", phone="4155550100")
    judged("a search lags behind", crm.call("GET", f"{V}/users/search?query=phone:4155550100").json()["count"] == 0)
    crm.act("lag", seconds=0)
    statuses = [crm.call("PUT", f"{V}/users/{shared}", {"user": {"name": "D"}}).status for _ in range(6)]
    judged("a user is changed 5 times a minute", statuses == [200] * 5 + [429])
    crm.act("ticket", requester_id=shared, comment={"body": "x", "public": False})
    judged("a user with a ticket that is not closed is not deleted", crm.call("DELETE", f"{V}/users/{shared}").status == 422)
    gone = crm.act("user", name="Eve")["id"]
    judged("another one is", [crm.call(method, f"{V}/users/{gone}").status for method in ("DELETE", "GET")] == [200, 404])
    return quiet.json()["user"]["id"]


def creates(crm, requester):
    mails = crm.state()["mails"]

    def create(key, **more):
        body = {"ticket": {"subject": "Voice", "requester_id": requester, "external_id": "m1", **more,
                           "comment": {"body": "x", "public": False}}}
        return crm.call("POST", f"{V}/tickets", body, headers={"Idempotency-Key": key})

    first, second = create("k1"), create("k1")
    judged("the same key gives the same ticket", (first.headers["x-idempotency-lookup"], second.headers["x-idempotency-lookup"]) == (
        "miss", "hit") and first.json()["ticket"]["id"] == second.json()["ticket"]["id"])
    other = create("k1", priority="high")
    judged("the same key with another body is refused", (other.status, other.json()["error"]) == (400, "IdempotentRequestError"))
    judged("a key above 255 characters is refused", create("k" * 256).status == 400)
    crm.act("advance", seconds=7201)
    again = create("k1")
    judged("after two hours the key is forgotten", again.headers["x-idempotency-lookup"] == "miss")
    listed = crm.call("GET", f"{V}/tickets?external_id=m1").json()
    judged("an external id of a ticket is not unique", listed["count"] == 2)
    judged("a private comment is no mail", crm.state()["mails"] == mails)
    return first.json()["ticket"]["id"]


def upload(crm, name="note.mp3", kind="audio/mpeg"):
    return crm.call("POST", f"{V}/uploads?filename={name}", b"ID3sound", headers={"Content-Type": kind})


def comments(crm, id):
    def update(**ticket):
        return crm.call("PUT", f"{V}/tickets/{id}", {"ticket": ticket})

    token = upload(crm).json()["upload"]["token"]
    update(uploads=[token], comment={"body": "no file", "public": False})
    listed = crm.call("GET", f"{V}/tickets/{id}/comments").json()["comments"]
    judged("uploads outside of the comment are ignored", listed[-1]["attachments"] == [])
    update(comment={"html_body": "<p>file</p>", "public": False, "uploads": [token]}, metadata={"mediamill_event": "e1"})
    last = crm.call("GET", f"{V}/tickets/{id}/comments").json()["comments"][-1]
    judged("in the comment they are attached", last["attachments"][0]["content_type"] == "audio/mpeg")
    judged("a token is used once", update(comment={"body": "x", "public": False, "uploads": [token]}).status == 422)
    late = upload(crm).json()["upload"]["token"]
    crm.act("advance", seconds=3601)
    judged("and ends after an hour", update(comment={"body": "x", "public": False, "uploads": [late]}).status == 422)
    audits = crm.call("GET", f"{V}/tickets/{id}/audits").json()["audits"]
    judged("metadata stands in the audit", audits[-1]["metadata"]["custom"] == {"mediamill_event": "e1"})
    mails = crm.state()["mails"]
    update(comment={"body": "hello"})
    judged("a comment is public unless it says otherwise, and then a mail", crm.state()["mails"] == mails + 1)
    judged("a long comment is 422", update(comment={"body": "x" * 65001, "public": False}).status == 422)
    stale = update(safe_update=True, updated_stamp="2020-01-01T00:00:00Z", priority="low")
    judged("a safe update with an old stamp is 409", (stale.status, stale.json()["error"]) == (409, "UpdateConflict"))
    return last


def tags(crm, id):
    path = f"{V}/tickets/{id}/tags"
    crm.call("POST", path, {"tags": ["a", "b"]})
    judged("PUT adds tags", crm.call("PUT", path, {"tags": ["c"]}).json()["tags"] == ["a", "b", "c"])
    crm.call("PUT", f"{V}/tickets/{id}", {"ticket": {"tags": ["one tag"]}})
    judged("tags of a ticket replace, and have no blanks", crm.call("GET", path).json()["tags"] == ["one", "tag"])
    field = crm.act("field", title="Media")["id"]
    judged("fields are named by a number", crm.call("PUT", f"{V}/tickets/{id}", {"ticket": {"custom_fields": [{"id": "Media", "value": "x"}]}})
           .status == 422 and any(item["id"] == field for item in crm.call("GET", f"{V}/ticket_fields").json()["ticket_fields"]))


def redactions(crm, id, comment):
    file = comment["attachments"][0]["id"]
    path = f"{V}/tickets/{id}/comments/{comment['id']}"
    judged("a file is redacted", crm.call("PUT", f"{path}/attachments/{file}/redact").json()["attachment"]["file_name"] == "redacted.txt")
    crm.call("PUT", f"{path}/redact", {"text": "file"})
    judged("and a text", "file" not in crm.call("GET", f"{V}/tickets/{id}/comments").text().split('"attachments"')[2])
    crm.act("close", id=id)
    closed = crm.call("PUT", f"{V}/tickets/{id}", {"ticket": {"priority": "low"}})
    judged("a closed ticket is 422", closed.status == 422 and closed.json()["error"] == "RecordInvalid")
    judged("nothing is redacted in it by the ticket's path", crm.call("PUT", f"{path}/redact", {"text": "x"}).status == 422)
    body = {"ticket_id": id, "html_body": "<redact>x</redact>"}
    judged("but by comment_redactions", crm.call("PUT", f"{V}/comment_redactions/{comment['id']}", body).status == 200)
    after = crm.call("POST", f"{V}/tickets", {"ticket": {"via_followup_source_id": id, "comment": {"body": "x", "public": False}}})
    judged("a follow-up names its source", after.status == 201 and after.json()["ticket"]["via_followup_source_id"] == id)
    return after.json()["ticket"]["id"]


def limits(crm, id):
    gone = crm.call("DELETE", f"{V}/tickets/999999")
    judged("404 after DELETE has no body", (gone.status, gone.body) == (404, b""))
    judged("404 after GET has one", crm.call("GET", f"{V}/tickets/999999").json()["error"] == "RecordNotFound")
    crm.act("set", updates_per_ticket=3)
    statuses = [crm.call("PUT", f"{V}/tickets/{id}", {"ticket": {"priority": "low"}}).status for _ in range(4)]
    judged("a ticket has a limit of its own in ten minutes", statuses == [200, 200, 200, 429])
    crm.act("set", list_per_min=1)
    crm.act("advance", seconds=61)
    got = [crm.call("GET", f"{V}/tickets") for _ in range(2)][1]
    judged("an endpoint's bucket is empty before the account's", got.status == 429 and got.headers["Retry-After"]
           and "Zendesk-RateLimit-tickets-index" in got.headers)
    got = crm.call("GET", f"{V}/users/me")
    judged("answers tell the limit", got.headers["X-Rate-Limit"] == "400" and int(got.headers["ratelimit-remaining"]) > 0)
    crm.act("set", per_min=1)
    judged("the account's limit is 429 with Retry-After", crm.call("GET", f"{V}/users/me").headers["Retry-After"] == "60")
    crm.act("set", per_min=400)
    crm.faults({"fault": "lock"})
    judged("a conflict is 409", crm.call("GET", f"{V}/users/me").status == 409)
    crm.act("revoke")
    judged("a revoked grant gets no token", grant(crm, grant_type="client_credentials").json()["error"] == "invalid_grant")


def main():
    crm = Client("zendesk")
    tokens(crm)
    crm.headers["Authorization"] = "Bearer " + crm.fake.new_token(100_000)
    requester = users(crm)
    id = creates(crm, requester)
    comment = comments(crm, id)
    tags(crm, id)
    after = redactions(crm, id, comment)
    limits(crm, after)
    return concluded()


sys.exit(main())
