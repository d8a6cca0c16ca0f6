"""The quirks of Salesforce that the fake has to have: `python3 tests/crm/check_salesforce.py`."""

import base64
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse

from client import Client, concluded, judged

V = "/services/data/v66.0"
KEY = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assertion(key, **claims):
    head = b64(b'{"alg":"RS256"}') + "." + b64(json.dumps(claims).encode())
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=head.encode(), capture_output=True, check=True).stdout
    return head + "." + b64(signed)


def token(crm, **form):
    return crm.call("POST", "/services/oauth2/token", form=form)


def tokens(crm):
    got = token(crm, grant_type="client_credentials", client_id="consumer", client_secret="secret")
    judged("a token has no life time", got.status == 200 and "expires_in" not in got.json() and got.json()["instance_url"] == crm.url)
    crm.act("set", my_domain=False)
    judged("client credentials need a My Domain host",
           token(crm, grant_type="client_credentials", client_id="consumer", client_secret="secret").json()["error"] == "invalid_grant")
    crm.act("set", my_domain=True)
    with tempfile.TemporaryDirectory() as folder:
        private, public = folder + "/key", folder + "/public"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private],
                       capture_output=True, check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        crm.act("set", public_key=public)
        good = {"iss": "consumer", "sub": "integration@example.test", "aud": "https://login.salesforce.com", "exp": int(time.time()) + 180}
        jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        judged("an assertion gives a token", token(crm, grant_type=jwt, assertion=assertion(private, **good)).status == 200)
        for name, change in (("milliseconds", {"exp": int(time.time() * 1000)}), ("another audience", {"aud": "https://x.test"}),
                             ("another user", {"sub": "ann"}), ("another app", {"iss": "x"}), ("an hour", {"exp": int(time.time()) + 3600})):
            got = token(crm, grant_type=jwt, assertion=assertion(private, **{**good, **change}))
            judged(f"an assertion with {name} is refused", got.status == 400 and isinstance(got.json(), dict))
        other = assertion(private, **good)[:-4] + "AAAA"
        judged("an assertion with a wrong signature is refused", token(crm, grant_type=jwt, assertion=other).status == 400)
    crm.headers["Authorization"] = "Bearer " + got_token(crm)
    crm.act("set", rest=False)
    dead = crm.call("GET", f"{V}/limits")
    judged("a session can be of no use for REST", dead.status == 401 and "not valid for use with the REST API" in dead.text())
    crm.act("set", rest=True)
    judged("errors are a list", isinstance(dead.json(), list))


def got_token(crm):
    return token(crm, grant_type="client_credentials", client_id="consumer", client_secret="secret").json()["access_token"]


def upserts(crm):
    judged("an object that is not installed is 404", crm.call("PATCH", f"{V}/sobjects/Mediamill_Media__c/Media_Key__c/x", {}).status == 404)
    crm.act("install")
    path = f"{V}/sobjects/Mediamill_Media__c/Media_Key__c/{KEY}"
    first, second = crm.call("PATCH", path, {"Kind__c": "audio"}), crm.call("PATCH", path, {"Kind__c": "audio"})
    judged("an upsert is 201, then 200", (first.status, first.json()["created"], second.status, second.json()["created"]) == (
        201, True, 200, False))
    judged("old versions say 204", crm.call("PATCH", path.replace("v66", "v45"), {"Kind__c": "audio"}).status == 204)
    judged("the key may not stand in the body", crm.call("PATCH", path, {"Media_Key__c": KEY}).json()[0]["errorCode"] == "INVALID_FIELD")
    judged("a value that ends like a file is 404",
           crm.call("PATCH", f"{V}/sobjects/Mediamill_Media__c/Media_Key__c/wamid.HBg", {}).status == 404)
    judged("updateOnly makes nothing",
           crm.call("PATCH", f"{V}/sobjects/Mediamill_Media__c/Media_Key__c/none?updateOnly=true", {}).status == 404)
    for _ in range(2):
        crm.act("create", type="Contact", fields={"LastName": "Twin", "Mediamill_Phone__c": "55"})
    several = crm.call("PATCH", f"{V}/sobjects/Contact/Mediamill_Phone__c/55", {"LastName": "x"})
    judged("several matches are 300 with their list, and nothing is written", several.status == 300 and len(several.json()) == 2
           and all(item["LastName"] == "Twin" for item in crm.state()["Contact"]))
    made = crm.call("POST", f"{V}/sobjects/Mediamill_Media__c", {"Media_Key__c": KEY})
    judged("a second one by create is DUPLICATE_VALUE", made.json()[0]["errorCode"] == "DUPLICATE_VALUE")
    crm.act("set", hidden=["Contact.Mediamill_Phone__c"])
    hidden = crm.call("POST", f"{V}/sobjects/Contact", {"LastName": "A", "Mediamill_Phone__c": "1"})
    judged("a field that the user may not see does not exist", hidden.json()[0]["errorCode"] == "INVALID_FIELD")
    crm.act("set", hidden=[], block_duplicates=True)
    crm.act("create", type="Contact", fields={"LastName": "Ann", "Email": "ann@example.test"})
    twin = crm.call("POST", f"{V}/sobjects/Contact", {"LastName": "Ann", "Email": "ann@example.test"})
    judged("a duplicate rule can block", twin.json()[0]["errorCode"] == "DUPLICATES_DETECTED")
    crm.act("set", block_duplicates=False)


def fields(crm):
    codes = {"STRING_TOO_LONG": {"LastName": "x" * 81}, "INVALID_FIELD": {"LastName": "A", "Shoe__c": "7"},
             "REQUIRED_FIELD_MISSING": {"FirstName": "A"}}
    for code, body in codes.items():
        got = crm.call("POST", f"{V}/sobjects/Contact", body)
        judged(f"{code} is 400", got.status == 400 and got.json()[0]["errorCode"] == code)
    judged("the length stands in the text", "(max length=80)" in crm.call("POST", f"{V}/sobjects/Contact", codes["STRING_TOO_LONG"]).text())
    task = {"Subject": "x", "CallType": "Sideways"}
    judged("a choice that there is not", crm.call("POST", f"{V}/sobjects/Task", task).json()[0]["errorCode"]
           == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    for value, status in (("2026-11-27T10:00:00Z", 201), ("2026-11-27", 400)):
        body = {"Received_At__c": value, "Media_Key__c": value.replace(":", "")}
        judged(f"a time like {value} is {status}", crm.call("POST", f"{V}/sobjects/Mediamill_Media__c", body).status == status)
    described = crm.call("GET", f"{V}/sobjects/Mediamill_Media__c/describe").json()["fields"]
    judged("describe tells the key", any(field["name"] == "Media_Key__c" and field["externalId"] for field in described))


def multipart(json_part=True, kind="audio/mpeg", entity=None):
    meta = {"Title": "note", "PathOnClient": "note.mp3", **({"FirstPublishLocationId": entity} if entity else {})}
    first = [("entity_content", None, "application/json", json.dumps(meta).encode())] if json_part else []
    return first + [("VersionData", "note.mp3", kind, b"ID3sound")]


def query(crm, text):
    return crm.call("GET", f"{V}/query?q=" + urllib.parse.quote(text))


def files(crm):
    contact = crm.act("create", type="Contact", fields={"LastName": "File"})["id"]
    path = f"{V}/sobjects/ContentVersion"
    bare = crm.call("POST", path, parts=multipart(json_part=False))
    judged("a file without a part of JSON is refused", bare.json()[0]["errorCode"] == "INVALID_MULTIPART_REQUEST")
    judged("a part without its type is refused", crm.call("POST", path, parts=multipart(kind=None)).status == 400)
    related = crm.call("POST", path, b"--x\r\n", headers={"Content-Type": "multipart/related; boundary=x"})
    judged("multipart/related is 415", related.status == 415)
    other = crm.call("POST", path, {"PathOnClient": "a.mp3", "type": "x"})
    judged("a key of one's own is no column", "No such column 'type'" in other.text())
    made = crm.call("POST", path, parts=multipart(entity=contact)).json()["id"]
    version = query(crm, f"SELECT ContentDocumentId, Checksum FROM ContentVersion WHERE Id = '{made}'").json()["records"][0]
    judged("the document is read back, the checksum is an MD5", len(version["Checksum"]) == 32 and version["ContentDocumentId"])
    links = query(crm, f"SELECT ContentDocumentId FROM ContentDocumentLink WHERE LinkedEntityId = '{contact}'").json()
    judged("the file stands with the record", links["totalSize"] == 1)
    judged("links are asked for by an id", query(crm, "SELECT Id FROM ContentDocumentLink").json()[0]["errorCode"] == "MALFORMED_QUERY")
    body = {"ContentDocumentId": version["ContentDocumentId"], "LinkedEntityId": contact, "ShareType": "V"}
    judged("a link is made once", crm.call("POST", f"{V}/sobjects/ContentDocumentLink", body).json()[0]["errorCode"] == "DUPLICATE_VALUE")
    judged("a version is not deleted alone", crm.call("DELETE", f"{path}/{made}").status == 400)
    judged("a document takes its versions along", crm.call("DELETE", f"{V}/sobjects/ContentDocument/{version['ContentDocumentId']}").status
           == 204 and query(crm, f"SELECT Id FROM ContentVersion WHERE Id = '{made}'").json()["totalSize"] == 0)
    binned = crm.call("GET", f"{V}/queryAll?q=" + urllib.parse.quote(f"SELECT Id FROM ContentVersion WHERE Id = '{made}'")).json()
    judged("and they lie in the bin", binned["totalSize"] == 1)
    gone = crm.call("PATCH", f"{V}/sobjects/ContentDocument/{version['ContentDocumentId']}", {"Title": "x"})
    judged("what is deleted is ENTITY_IS_DELETED", (gone.status, gone.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED"))
    crm.act("set", storage_bytes=8)
    judged("no room is STORAGE_LIMIT_EXCEEDED", crm.call("POST", path, parts=multipart()).json()[0]["errorCode"] == "STORAGE_LIMIT_EXCEEDED")
    crm.act("set", storage_bytes=1 << 40)


def searches(crm):
    crm.act("create", type="Contact", fields={"LastName": "Phone", "MobilePhone": "+55 (11) 99999-0001"})
    judged("phones are compared as typed",
           query(crm, "SELECT Id FROM Contact WHERE MobilePhone = '+5511999990001'").json()["totalSize"] == 0)

    def find(term):
        text = f"FIND {{{term}}} IN PHONE FIELDS RETURNING Contact(Id, MobilePhone), Lead(Id, Phone WHERE IsConverted = false)"
        return crm.call("GET", f"{V}/search/?q=" + urllib.parse.quote(text))

    judged("a search matches across formats", len(find("11999990001").json()["searchRecords"]) == 1)
    judged("reserved characters need a backslash", find("+5511").json()[0]["errorCode"] == "MALFORMED_SEARCH")
    crm.act("lag", seconds=30)
    crm.act("create", type="Lead", fields={"LastName": "Late", "Company": "x", "Phone": "4155550100"})
    judged("a search lags behind", find("4155550100").json()["searchRecords"] == [])
    crm.act("lag", seconds=0)


def limits(crm):
    got = crm.call("GET", f"{V}/limits")
    judged("every answer tells the use", got.headers["Sforce-Limit-Info"].startswith("api-usage=")
           and got.headers["Sforce-Limit-Info"].endswith("/15000"))
    crm.act("set", calls=1)
    got = crm.call("GET", f"{V}/limits")
    judged("an empty quota is 403", (got.status, got.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED"))
    crm.act("set", calls=15000)
    crm.faults({"fault": "lock"})
    judged("a lock is UNABLE_TO_LOCK_ROW", crm.call("GET", f"{V}/limits").json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW")
    parts = [{"method": "PATCH", "url": f"{V}/sobjects/Mediamill_Media__c/Media_Key__c/c1", "referenceId": "m", "body": {}},
             {"method": "GET", "url": f"{V}/sobjects/Mediamill_Media__c/@{{m.id}}", "referenceId": "r"},
             {"method": "GET", "url": f"{V}/sobjects/Contact/003000000009999AAA", "referenceId": "n"}]
    crm.call("DELETE", "/__fake/calls")
    got = crm.call("POST", f"{V}/composite", {"compositeRequest": parts}).json()["compositeResponse"]
    judged("composite is 200 with a status of each", [part["httpStatusCode"] for part in got] == [201, 200, 404])
    judged("and is one call", len(crm.call("GET", "/__fake/calls").json()) == 1)
    crm.act("expire")
    judged("an ended session is 401", crm.call("GET", f"{V}/limits").json()[0]["errorCode"] == "INVALID_SESSION_ID")
    crm.act("revoke")
    judged("a revoked app gets no token",
           token(crm, grant_type="client_credentials", client_id="consumer", client_secret="secret").json()["error"] == "invalid_grant")


def main():
    crm = Client("salesforce")
    tokens(crm)
    upserts(crm)
    fields(crm)
    files(crm)
    searches(crm)
    limits(crm)
    return concluded()


sys.exit(main())
