"""The quirks of Zoho CRM that the fake has to have: `python3 tests/crm/check_zoho.py`."""

import sys
import urllib.parse

from client import Client, concluded, judged

V = "/crm/v8"
NOTE = {"Note_Title": "Voice", "Note_Content": "x"}


def refresh(crm, **form):
    return crm.call("POST", "/oauth/v2/token", form={"grant_type": "refresh_token", "client_id": "client", "client_secret": "secret",
                                                     "refresh_token": "refresh-1", **form})


def tokens(crm):
    got = refresh(crm)
    judged("a token lasts an hour and tells its API", got.json()["expires_in"] == 3600 and got.json()["api_domain"] == crm.url)
    wrong = refresh(crm, refresh_token="x")
    judged("a refused refresh is 200 with an error", (wrong.status, wrong.json()) == (200, {"error": "invalid_code"}))
    judged("so is another data centre's client", refresh(crm, client_id="x").json() == {"error": "invalid_client"})
    bearer = crm.call("GET", f"{V}/org", headers={"Authorization": "Bearer " + got.json()["access_token"]})
    judged("Bearer is refused", (bearer.status, bearer.json()["code"]) == (401, "INVALID_TOKEN"))
    crm.headers["Authorization"] = "Zoho-oauthtoken " + got.json()["access_token"]
    org = crm.call("GET", f"{V}/org")
    judged("answers say when the token ends", org.status == 200 and "T" in org.headers["x-accesstoken-reset"])
    statuses = [refresh(crm).status for _ in range(10)]
    judged("the eleventh token in ten minutes is blocked", statuses == [200] * 9 + [400])
    crm.act("advance", seconds=601)
    judged("for the rest of the ten minutes", refresh(crm).status == 200)


def writes(crm):
    crm.act("field", type="Contacts", name="Media_Key", unique=True)
    both = {"data": [{"Last_Name": "Ann", "Email": "ann@example.test"}, {"First_Name": "nobody"}]}
    half = crm.call("POST", f"{V}/Contacts", both)
    judged("half a success is 207", half.status == 207 and [item["status"] for item in half.json()["data"]] == ["success", "error"])
    none = crm.call("POST", f"{V}/Contacts", {"data": [{"First_Name": "x"}]})
    judged("no success is 202 with the error inside", none.status == 202 and none.json()["data"][0]["code"] == "MANDATORY_NOT_FOUND")
    twin = crm.call("POST", f"{V}/Contacts", {"data": [{"Last_Name": "B", "Email": "ann@example.test"}]}).json()["data"][0]
    judged("a duplicate names the record", twin["code"] == "DUPLICATE_DATA" and twin["details"]["id"])
    phone = crm.call("POST", f"{V}/Contacts", {"data": [{"Last_Name": "C", "Phone": "call me"}]}).json()["data"][0]
    judged("phones are validated", phone["details"] == {"api_name": "Phone", "expected_data_type": "phone"})
    body = {"data": [{"Last_Name": "D", "Media_Key": "k1"}], "duplicate_check_fields": ["Media_Key"], "trigger": []}
    before = crm.state()["workflows"]
    first, second = crm.call("POST", f"{V}/Contacts/upsert", body), crm.call("POST", f"{V}/Contacts/upsert", body)
    items = [first.json()["data"][0], second.json()["data"][0]]
    judged("an upsert inserts, then updates", [item["action"] for item in items] == ["insert", "update"]
           and items[0]["details"]["id"] == items[1]["details"]["id"] and (first.status, second.status) == (201, 200))
    judged("an empty trigger runs no workflow", crm.state()["workflows"] == before)
    wrong = crm.call("POST", f"{V}/Contacts/upsert", {**body, "duplicate_check_fields": ["Phone"]})
    judged("a check field has to be unique", wrong.status == 400)
    id = items[0]["details"]["id"]
    named = crm.call("PUT", f"{V}/Contacts/k1", {"data": [{"First_Name": "Di"}]}, headers={"X-EXTERNAL": "Contacts.Media_Key"})
    judged("X-EXTERNAL names a record by its own key", named.status == 200 and named.json()["data"][0]["details"]["id"] == id)
    judged("an unknown module is INVALID_MODULE", crm.call("GET", f"{V}/Shoes?fields=id").json()["code"] == "INVALID_MODULE")
    judged("at most 100 records", crm.call("POST", f"{V}/Contacts", {"data": [{"Last_Name": "x"}] * 101}).status == 400)
    return id


def reads(crm, contact):
    asked = crm.call("GET", f"{V}/Contacts?fields=Last_Name").json()["data"]
    judged("a list shows the fields that were asked for", all(set(record) <= {"id", "Last_Name"} for record in asked))
    lists = crm.call("GET", f"{V}/settings/related_lists?module=Contacts").json()["related_lists"]
    judged("notes are a related list", "Notes" in [item["api_name"] for item in lists])
    judged("a list needs fields", crm.call("GET", f"{V}/Contacts").json()["code"] == "REQUIRED_PARAM_MISSING")
    nothing = crm.call("GET", f"{V}/Contacts/search?phone=4155550100")
    judged("nothing found is 204 without a body", (nothing.status, nothing.body) == (204, b""))
    judged("a record that is not there is 204 too", crm.call("GET", f"{V}/Contacts/1").status == 204)
    crm.act("create", type="Contacts", fields={"Last_Name": "Phone", "Mobile": "+55 (11) 99999-0001"})
    found = crm.call("GET", f"{V}/Contacts/search?phone=11999990001").json()
    judged("a phone is found across formats", found["info"]["count"] == 1)
    text = urllib.parse.quote("(Last_Name:equals:Pa\\(x\\))")
    crm.act("create", type="Contacts", fields={"Last_Name": "Pa(x)"})
    judged("criteria need \\ before parentheses", crm.call("GET", f"{V}/Contacts/search?criteria={text}").json()["info"]["count"] == 1)
    crm.act("lag", seconds=30)
    crm.act("create", type="Contacts", fields={"Last_Name": "Late", "Phone": "4155550100"})
    judged("a search lags behind", crm.call("GET", f"{V}/Contacts/search?phone=4155550100").status == 204)
    crm.act("lag", seconds=0)
    judged("notes of a record that has none are 204", crm.call("GET", f"{V}/Contacts/{contact}/Notes?fields=Note_Title").status == 204)
    fields = crm.call("GET", f"{V}/settings/fields?module=Contacts").json()["fields"]
    judged("fields are described by their names in the API", any(field["api_name"] == "Media_Key" and field["unique"] for field in fields))


def notes(crm, contact):
    parent = {"module": {"api_name": "Contacts"}, "id": contact}
    made = crm.call("POST", f"{V}/Notes", {"data": [{**NOTE, "Parent_Id": parent}]})
    judged("a note is 201", made.status == 201)
    long = crm.call("POST", f"{V}/Notes", {"data": [{**NOTE, "Note_Content": "x" * 32001, "Parent_Id": parent}]})
    judged("a long note is 202 with maximum_length", long.status == 202
           and long.json()["data"][0]["details"]["maximum_length"] == 32000)
    orphan = crm.call("POST", f"{V}/Notes", {"data": [{**NOTE, "Parent_Id": {**parent, "id": "1"}}]})
    judged("a note of nobody is refused", orphan.json()["data"][0]["code"] == "INVALID_DATA")
    listed = crm.call("GET", f"{V}/Contacts/{contact}/Notes?fields=Note_Title,Note_Content").json()["data"]
    judged("a record's notes are listed at once", len(listed) == 1)
    tags = crm.call("POST", f"{V}/Contacts/{contact}/actions/add_tags", {"tags": [{"name": "x" * 26}], "over_write": False})
    judged("a tag has 25 characters", tags.status == 400 and tags.json()["data"][0]["details"]["maximum_length"] == 25)
    for names, over, kept in (("a", False, ["a"]), ("b", False, ["a", "b"]), ("c", True, ["c"])):
        body = {"tags": [{"name": names}], "over_write": over}
        got = crm.call("POST", f"{V}/Contacts/{contact}/actions/add_tags", body).json()["data"][0]["details"]["tags"]
        judged(f"tags with over_write {over} are {kept}", got == kept)
    return listed[0]["id"]


def attachments(crm, note):
    path = f"{V}/Notes/{note}/Attachments"
    part = [("file", "note.mp3", "audio/mpeg", b"ID3sound")]
    made = crm.call("POST", path, parts=part).json()["data"][0]["details"]["id"]
    listed = crm.call("GET", path + "?fields=File_Name,Size").json()["data"]
    judged("a note has files, whose size is text", [(item["id"], item["Size"]) for item in listed] == [(made, "8")])
    link = crm.call("POST", path + "?attachmentUrl=https%3A%2F%2Fx.test%2Fa&title=a")
    judged("or links, which stand in the query", link.status == 200 and crm.state()["attachments"][1]["$link_url"] == "https://x.test/a")
    judged("a part of another name is no file", crm.call("POST", path, parts=[("data", "a.mp3", "audio/mpeg", b"x")]).status == 400)
    crm.act("set", file_bytes=8)
    large = [("file", "note.mp3", "audio/mpeg", b"x" * 9)]
    judged("a large file is FILE_SIZE_MORE_THAN_ALLOWED_SIZE",
           crm.call("POST", path, parts=large).json()["code"] == "FILE_SIZE_MORE_THAN_ALLOWED_SIZE")
    judged("in the files API it rejects all with 415", crm.call("POST", f"{V}/files", parts=part + large).status == 415)
    judged("a file is deleted", crm.call("DELETE", f"{path}/{made}").json()["data"][0]["status"] == "success"
           and crm.call("GET", f"{path}/{made}").status == 400)
    judged("a note is deleted once", [crm.call("DELETE", f"{V}/Notes/{note}").status for _ in range(2)] == [200, 400])


def limits(crm):
    judged("below the half nothing tells the credits", "X-API-CREDITS-REMAINING" not in crm.call("GET", f"{V}/org").headers)
    used = len(crm.fake.day.times)
    crm.act("set", credits=used + 3)
    judged("from the half on they are told", crm.call("GET", f"{V}/org").headers["X-API-CREDITS-REMAINING"] == "2")
    crm.call("DELETE", "/__fake/calls")
    crm.call("POST", f"{V}/Contacts", {"data": [{"Last_Name": "x"}] * 11})
    judged("eleven records are two credits", crm.call("GET", "/__fake/calls").json()[0]["units"] == 2)
    none = crm.call("GET", f"{V}/org")
    judged("none left is 429 without Retry-After", none.status == 429 and none.json()["code"] == "TOO_MANY_REQUESTS"
           and "Retry-After" not in none.headers)
    crm.act("set", credits=50000)
    crm.faults({"fault": "lock"})
    judged("a lock stands inside a success", crm.call("GET", f"{V}/org").json()["data"][0]["code"] == "RECORD_LOCKED")
    crm.act("expire")
    judged("an ended token is INVALID_TOKEN", crm.call("GET", f"{V}/org").json()["code"] == "INVALID_TOKEN")
    crm.act("revoke")
    judged("a revoked grant is 200 with invalid_code", refresh(crm).json() == {"error": "invalid_code"})


def main():
    crm = Client("zoho")
    tokens(crm)
    contact = writes(crm)
    reads(crm, contact)
    note = notes(crm, contact)
    attachments(crm, note)
    limits(crm)
    return concluded()


sys.exit(main())
