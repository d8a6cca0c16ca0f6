"""The fault plan, with HubSpot's fake: `python3 tests/crm/check_faults.py`."""

import sys
import threading
import time

from client import Client, concluded, judged

NOTE = {"properties": {"hs_timestamp": "2026-11-27T10:00:00Z", "hs_note_body": "x"}}
NOTES = "/crm/objects/2026-03/notes"


def count(crm):
    return len(crm.state()["objects"]["notes"])


def main():
    crm = Client("hubspot", Authorization="Bearer pat-test-key")
    crm.faults({"fault": "status", "status": 502, "body": {"no": 1}, "headers": {"Retry-After": "7"}})
    got = crm.call("POST", NOTES, NOTE)
    judged("a status comes with its body and headers, once, and nothing is written",
           (got.status, got.json(), got.headers["Retry-After"], count(crm)) == (502, {"no": 1}, "7", 0))
    judged("after it the call works", crm.call("POST", NOTES, NOTE).status == 201 and count(crm) == 1)
    crm.faults({"fault": "drop-before", "path": "notes"})
    judged("a connection that ends before the write leaves nothing", crm.lost("POST", NOTES, NOTE) and count(crm) == 1)
    crm.faults({"fault": "drop-after", "path": "notes", "skip": 1})
    judged("a rule can begin later", crm.call("GET", NOTES).status == 200)
    judged("a connection that ends after the write leaves the record", crm.lost("POST", NOTES, NOTE) and count(crm) == 2)
    crm.faults({"fault": "delay", "seconds": 0.3})
    begun = time.monotonic()
    crm.call("GET", NOTES)
    judged("a delay is waited", time.monotonic() - begun >= 0.3)
    crm.faults({"fault": "slow-body", "seconds": 0.3})
    begun = time.monotonic()
    crm.call("GET", NOTES)
    judged("a slow body takes its time", time.monotonic() - begun >= 0.25)
    for kind, written in (("hold-before", 2), ("hold-after", 3)):
        crm.faults({"fault": kind, "path": "notes"})
        caller = threading.Thread(target=crm.call, args=("POST", NOTES, NOTE))
        caller.start()
        while crm.call("GET", "/__fake/held").json()["held"] == 0:
            time.sleep(0.01)
        judged(f"{kind} waits for its release", count(crm) == written)
        crm.call("POST", "/__fake/release")
        caller.join()
        if kind == "hold-before":
            judged("what was held before the write writes then", count(crm) == 3)
            crm.fake.objects.records["notes"].popitem()
    crm.faults({"fault": "expire"})
    judged("a static key does not expire", crm.call("GET", NOTES).status == 200)
    crm.faults({"fault": "quota"}, {"fault": "lock"}, {"fault": "revoke"})
    judged("an empty quota, a lock and a revoked grant answer in this order",
           [crm.call("GET", NOTES).status for _ in range(3)] == [429, 423, 401])
    judged("a grant that is revoked stays so", crm.call("GET", NOTES).status == 401)
    calls = crm.call("GET", "/__fake/calls").json()
    judged("every call is counted with its status and its fault", calls[0] == {
        "method": "POST", "path": NOTES, "status": 502, "fault": "status", "units": 1})
    crm.call("DELETE", "/__fake/calls")
    judged("calls are forgotten on demand", crm.call("GET", "/__fake/calls").json() == [])
    try:
        crm.server.plan.replace([{"fault": "earthquake"}])
        judged("an unknown fault is refused", False)
    except ValueError:
        judged("an unknown fault is refused", True)
    return concluded()


sys.exit(main())
