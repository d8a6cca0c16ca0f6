#!/usr/bin/env python3
"""The library of Standard Webhooks as judge of what `mediamill deliver` sends: each webhook verifies, none does with another byte or
another key, and the library signs the same bytes with the same signature.

    target/venv-judges/bin/python tests/judges/webhooks.py FILE    # JSON lines: {"key", "headers", "body"}
"""

import datetime
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

FAILED = []


def judged(name, holds):
    print(f"{'ok  ' if holds else 'FAIL'} {name}", flush=True)
    if not holds:
        FAILED.append(name)


def verifies(key, body, headers):
    try:
        Webhook(key).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


for line in open(sys.argv[1], encoding="utf-8"):
    sent = json.loads(line)
    key, headers, body = sent["key"], sent["headers"], sent["body"]
    name = headers["webhook-id"]
    judged(f"{name} verifies", verifies(key, body, headers))
    judged(f"{name} with another byte does not", not verifies(key, body.replace("a", "b", 1), headers))
    judged(f"{name} with another key does not", not verifies("whsec_" + "B" * 32, body, headers))
    at = datetime.datetime.fromtimestamp(int(headers["webhook-timestamp"]), datetime.timezone.utc)
    own = Webhook(key).sign(name, at, body)
    judged(f"{name} is signed as the library signs it", own in headers["webhook-signature"].split(" "))

print(f"\n{len(FAILED)} judged wrong")
sys.exit(bool(FAILED))
