"""The quirks of HubSpot that the fake has to have: `python3 tests/crm/check_hubspot.py`."""

import sys

from client import Client, concluded, judged

V = "/crm/objects/2026-03"
TIME = "2026-11-27T10:00:00Z"


def upload(crm, name="note.mp3", data=b"ID3sound", folder=True, options=b'{"access":"PRIVATE"}'):
    parts = [("file", name, "audio/mpeg", data), ("fileName", None, None, name.encode()), ("options", None, None, options)]
    return crm.call("POST", "/files/2026-03/files", parts=parts + ([("folderPath", None, None, b"/mediamill")] if folder else []))


def records(crm):
    ann = crm.call("POST", f"{V}/contacts", {"properties": {"email": "ann@example.test", "phone": "+55 11 99999-0001"}})
    judged("a create answers 201", ann.status == 201)
    again = crm.call("POST", f"{V}/contacts", {"properties": {"email": "ann@example.test"}})
    judged("the same email is 409 with the existing id",
           again.status == 409 and f"Existing ID: {ann.json()['id']}" in again.json()["message"])
    for value in (7, True, ["a"]):
        got = crm.call("POST", f"{V}/notes", {"properties": {"hs_timestamp": TIME, "hs_attachment_ids": value}})
        judged(f"a property of {type(value).__name__} is 400, since all are text", got.status == 400)
    both = crm.call("POST", f"{V}/notes", {"properties": {"hs_timestamp": TIME, "hs_attachment_ids": "1;2"}})
    judged("ids in one text, with semicolons, are taken", both.status == 201)
    shown = crm.call("GET", f"{V}/notes/{both.json()['id']}?properties=hs_timestamp&properties=hs_attachment_ids").json()["properties"]
    judged("a list of properties comes also as several of the name", {"hs_timestamp", "hs_attachment_ids"} <= set(shown))
    judged("a note needs its time", crm.call("POST", f"{V}/notes", {"properties": {"hs_note_body": "x"}}).status == 400)
    unknown = crm.call("POST", f"{V}/contacts", {"properties": {"shoe_size": "7"}})
    judged("an unknown property is 400 and named", unknown.status == 400 and "shoe_size" in unknown.text())
    judged("an unknown option is 400",
           crm.call("POST", f"{V}/contacts", {"properties": {"lifecyclestage": "friend"}}).status == 400)
    judged("a body of a note above 65,536 characters is 400",
           crm.call("POST", f"{V}/notes", {"properties": {"hs_timestamp": TIME, "hs_note_body": "x" * 65537}}).status == 400)
    logged = {"hs_timestamp": TIME, "hs_communication_channel_type": "WHATS_APP", "hs_communication_logged_from": "API"}
    judged("a communication is logged from CRM only", crm.call("POST", f"{V}/communications", {"properties": logged}).status == 400)
    for url, status in (("https://x.test/a.mp3", 201), ("https://x.test/a", 400), ("http://x.test/a.mp3", 400)):
        call = {"properties": {"hs_timestamp": TIME, "hs_call_recording_url": url}}
        judged(f"a recording at {url} is {status}", crm.call("POST", f"{V}/calls", call).status == status)
    crm.act("set", required={"contacts": ["company"]})
    lone = {"properties": {"firstname": "Bo"}}
    judged("the admin's required properties are demanded from 2026-09 on", (
        crm.call("POST", f"{V}/contacts", lone).status, crm.call("POST", "/crm/objects/2026-09/contacts", lone).status) == (201, 400))
    judged("a record that is not there is 404", crm.call("GET", f"{V}/contacts/9").status == 404)
    judged("lookup by another unique property", crm.call("GET", f"{V}/contacts/ann@example.test?idProperty=email").status == 200)
    judged("lookup by what is not unique is 400", crm.call("GET", f"{V}/contacts/x?idProperty=phone").status == 400)
    return ann.json()["id"], both.json()["id"]


def batches(crm):
    made = {"name": "media_key", "label": "Media", "groupName": "information", "type": "string", "fieldType": "text",
            "hasUniqueValue": True}
    judged("a property is made once", (crm.call("POST", "/crm/properties/2026-03/contacts", made).status,
                                       crm.call("POST", "/crm/properties/2026-03/contacts", made).status) == (201, 409))
    one = {"id": "k1", "idProperty": "media_key", "properties": {"firstname": "Cy"}}
    first = crm.call("POST", f"{V}/contacts/batch/upsert", {"inputs": [one]}).json()["results"][0]
    second = crm.call("POST", f"{V}/contacts/batch/upsert", {"inputs": [one]}).json()["results"][0]
    judged("an upsert says whether it is new", (first["new"], second["new"], first["id"]) == (True, False, second["id"]))
    bad = {"id": "k2", "idProperty": "media_key", "properties": {"none": "x"}, "objectWriteTraceId": "t2"}
    half = crm.call("POST", f"{V}/contacts/batch/upsert", {"inputs": [one, bad]})
    judged("half a success is 207 with the errors of each", half.status == 207 and half.json()["numErrors"] == 1
           and half.json()["errors"][0]["context"] == {"objectWriteTraceId": ["t2"]})
    mail = {"id": "ann@example.test", "idProperty": "email", "properties": {"firstname": "Ann"}}
    crm.call("POST", f"{V}/contacts/batch/upsert", {"inputs": [mail]})
    ann = crm.call("GET", f"{V}/contacts/ann@example.test?idProperty=email").json()["properties"]
    judged("an upsert by email loses what it leaves out", not ann.get("phone"))
    judged("at most 100 inputs", crm.call("POST", f"{V}/contacts/batch/read", {"inputs": [{"id": "1"}] * 101}).status == 400)


def searches(crm):
    crm.act("set", search_per_s=1000)
    crm.call("POST", f"{V}/contacts", {"properties": {"firstname": "Di", "phone": "+1 (415) 555-0100"}})

    def find(**wanted):
        return crm.call("POST", f"{V}/contacts/search", {"filterGroups": [{"filters": [wanted]}], "properties": ["phone"]})

    got = find(propertyName="hs_searchable_calculated_phone_number", operator="EQ", value="4155550100")
    judged("the calculated number has no country code", got.json()["total"] == 1)
    judged("a number as typed is not found by its digits",
           find(propertyName="phone", operator="EQ", value="+14155550100").json()["total"] == 0)
    judged("a token with an asterisk matches the end of a word",
           find(propertyName="hs_searchable_calculated_phone_number", operator="CONTAINS_TOKEN", value="*5550100").json()["total"] == 1)
    judged("a search has no headers of limits", not any("ratelimit" in name.lower() for name in got.headers))
    other = crm.call("GET", f"{V}/contacts")
    judged("other calls have them", other.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000")
    groups = [{"filters": [{"propertyName": "phone", "operator": "EQ", "value": "1"}]}] * 6
    judged("more than five groups are 400", crm.call("POST", f"{V}/contacts/search", {"filterGroups": groups}).status == 400)
    crm.act("lag", seconds=30)
    crm.call("POST", f"{V}/contacts", {"properties": {"firstname": "Late"}})
    judged("a search right after a create misses it", find(propertyName="firstname", operator="EQ", value="late").json()["total"] == 0)
    crm.act("advance", seconds=31)
    judged("later it finds it", find(propertyName="firstname", operator="EQ", value="late").json()["total"] == 1)
    crm.act("set", search_per_s=5)
    statuses = [find(propertyName="firstname", operator="EQ", value="x").status for _ in range(7)]
    judged("searches have a limit a second", 429 in statuses)
    crm.act("advance", seconds=2)


def files(crm):
    first = upload(crm)
    judged("an upload answers 201 with the MD5", first.status == 201 and len(first.json()["fileMd5"]) == 32)
    judged("a folder is required", upload(crm, folder=False).status == 400)
    judged("options are JSON text with access", upload(crm, options=b"PRIVATE").status == 400)
    judged("a body that is no multipart is 415", crm.call("POST", "/files/2026-03/files", {"file": "x"}).status == 415)
    crm.act("set", file_bytes=10)
    judged("a file above the account's size is 400", upload(crm, data=b"x" * 11).status == 400)
    id = first.json()["id"]
    plain = crm.call("GET", f"/files-content/{id}")
    signed = crm.call("GET", f"/files/2026-03/files/{id}/signed-url").json()["url"]
    got = crm.call("GET", signed.removeprefix(crm.url))
    judged("a private file is read by a signed URL only", (plain.status, got.body) == (404, b"ID3sound"))
    judged("gdpr-delete leaves nothing", crm.call("DELETE", f"/files/2026-03/files/{id}/gdpr-delete").status == 204
           and crm.call("GET", f"/files/2026-03/files/{id}").status == 404 and crm.state()["files"][0]["gdpr"])


def associations(crm, contact, note):
    path = f"{V}/notes/{note}/associations/default/contacts/{contact}"
    judged("the default association is made any number of times",
           [crm.call("PUT", path).status for _ in range(2)] == [200, 200] and len(crm.state()["associations"]) == 1)
    listed = crm.call("GET", f"{V}/contacts/{contact}/associations/notes").json()["results"]
    judged("a record's notes are listed at once", [item["toObjectId"] for item in listed] == [int(note)])
    wrong = {"properties": {"hs_timestamp": TIME}, "associations": [
        {"to": {"id": contact}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 201}]}]}
    judged("an id of the other direction is 400", crm.call("POST", f"{V}/notes", wrong).status == 400)


def limits(crm):
    crm.act("advance", seconds=11)
    crm.act("set", max=2)
    got = [crm.call("GET", f"{V}/contacts") for _ in range(3)][-1]
    judged("429 names the policy", got.status == 429 and got.json()["policyName"] == "TEN_SECONDLY_ROLLING")
    judged("429 does not say how long", "Retry-After" not in got.headers)
    crm.act("set", max=190)
    crm.faults({"fault": "lock"})
    judged("a lock is 423", crm.call("GET", f"{V}/contacts").status == 423)
    crm.faults()
    judged("without a key 401", crm.call("GET", f"{V}/contacts", headers={"Authorization": "Bearer no"}).status == 401)
    grant = {"grant_type": "refresh_token", "refresh_token": "refresh-1", "client_id": "client", "client_secret": "secret"}
    token = crm.call("POST", "/oauth/2026-03/token", form=grant).json()
    judged("OAuth gives 30 minutes", token["expires_in"] == 1800)
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    judged("its token works", crm.call("GET", f"{V}/contacts", headers=bearer).status == 200)
    crm.act("advance", seconds=1801)
    judged("and ends", crm.call("GET", f"{V}/contacts", headers=bearer).json()["category"] == "EXPIRED_AUTHENTICATION")
    crm.act("revoke")
    dead = crm.call("POST", "/oauth/2026-03/token", form=grant)
    judged("a grant that is revoked is 400 with BAD_REFRESH_TOKEN", (dead.status, dead.json()["status"]) == (400, "BAD_REFRESH_TOKEN"))


def main():
    crm = Client("hubspot", Authorization="Bearer pat-test-key")
    contact, note = records(crm)
    batches(crm)
    searches(crm)
    files(crm)
    associations(crm, contact, note)
    limits(crm)
    return concluded()


sys.exit(main())
