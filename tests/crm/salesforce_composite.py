"""POST /composite: at most 25 requests that count as one, each with a status of its own."""

import json
import re
import urllib.parse

import fake_salesforce
from message import Answer, Refused, Request


def composite(org, request):
    """Later requests may name results of earlier ones: @{name.id}."""
    body = request.json()
    parts = body.get("compositeRequest", [])
    if len(parts) > 25:
        return fake_salesforce.error(400, "LIMIT_EXCEEDED", "No more than 25 subrequests")
    results, answers, failed = {}, [], False
    for part in parts:
        if failed and body.get("allOrNone"):
            answer = fake_salesforce.error(400, "PROCESSING_HALTED", "The transaction was rolled back since another operation had an error")
        else:
            answer = one(org, part, results)
        failed = failed or answer.status >= 400
        content = json.loads(answer.body) if answer.body else None
        results[part["referenceId"]] = content
        answers.append({"body": content, "httpHeaders": {}, "httpStatusCode": answer.status, "referenceId": part["referenceId"]})
    return Answer(200, {"compositeResponse": answers})


def one(org, part, results):
    """A subrequest, with the names of earlier results replaced."""

    def value(match):
        at = results[match[1]]
        for step in re.findall(r"\w+", match[2]):
            at = at[int(step)] if isinstance(at, list) else at[step]
        return str(at)

    try:
        text = re.sub(r"@\{(\w+)\.([\w.\[\]]+)\}", value, json.dumps(part))
    except (KeyError, TypeError, IndexError):
        return fake_salesforce.error(400, "PROCESSING_HALTED", "Invalid reference specified")
    part = json.loads(text)
    target = part["url"] if "%" in part["url"] else urllib.parse.quote(part["url"], safe="/?&=%'(),")
    body = json.dumps(part["body"]).encode() if "body" in part else b""
    try:
        return org.route(Request(part["method"], target, {"content-type": "application/json"}, body))
    except Refused as refused:
        return refused.answer
