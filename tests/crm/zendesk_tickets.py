"""Zendesk's tickets: create with an idempotency key, comments that do not change, audits, tags, redaction."""

import datetime
import json
import re

from common import Window
from message import Answer, Refused

COMMENT_MAX = 65000
KEPT = ("subject", "priority", "type", "external_id", "assignee_id", "group_id", "brand_id", "via_followup_source_id")


class Tickets:
    """All tickets."""

    def __init__(self, desk):
        self.desk = desk
        self.records = {}
        self.fields = {}
        self.keys = {}
        self.per_ticket = {}
        self.field("Subject", "subject")

    def route(self, request, path):
        """Below /api/v2: tickets, ticket_fields, search, comment_redactions."""
        if path[0] == "ticket_fields":
            return Answer(200, {"ticket_fields": list(self.fields.values()), "count": len(self.fields)})
        if path[0] == "search":
            return self.search(request)
        if path[0] == "comment_redactions":
            return self.redaction(request, path[1])
        if len(path) == 1:
            return self.create(request) if request.method == "POST" else self.list(request)
        ticket = self.records.get(path[1])
        if ticket is None or ticket["status"] == "deleted":
            return self.desk.not_found(request)
        return self.one(request, ticket, path[2:])

    def one(self, request, ticket, rest):
        if not rest and request.method == "GET":
            return Answer(200, {"ticket": self.shown(ticket)})
        if not rest and request.method == "PUT":
            return self.update(ticket, request.json()["ticket"])
        if not rest and request.method == "DELETE":
            ticket["status"] = "deleted"
            return Answer(204)
        if rest == ["comments"]:
            return Answer(200, {"comments": [self.comment_shown(item) for item in ticket["comments"]],
                                "count": len(ticket["comments"]), "next_page": None})
        if rest == ["audits"]:
            return Answer(200, {"audits": ticket["audits"], "count": len(ticket["audits"]), "next_page": None})
        if rest == ["tags"]:
            return self.tags(request, ticket)
        if rest[0] == "comments" and request.method == "PUT":
            return self.redact(request, ticket, rest[1:])
        return self.desk.not_found(request)

    def list(self, request):
        """By external id there may be several."""
        self.desk.endpoint("tickets-index", self.desk.settings["list_per_min"], 60)
        wanted = request.query.get("external_id")
        found = [self.shown(item) for item in self.live() if wanted is None or item["external_id"] == wanted]
        return Answer(200, {"tickets": found, "count": len(found), "next_page": None})

    def search(self, request):
        """`type:ticket external_id:…` over an index, which is late."""
        wanted = re.search(r"external_id:\"?([^\s\"]+)", request.query.get("query", ""))
        found = [self.shown(item) for item in self.live() if self.desk.seen_by_search(item)
                 and (not wanted or item["external_id"] == wanted[1])]
        return Answer(200, {"results": found, "count": len(found), "next_page": None})

    # Create and update.

    def create(self, request):
        """The same key within two hours gives the first answer; with another body 400."""
        key, body = request.headers.get("idempotency-key"), request.json()
        now = self.desk.clock.now()
        if key:
            if len(key) > 255:
                return Answer(400, {"error": "IdempotentRequestError", "description": "The key is longer than 255 characters"})
            known = self.keys.get(key)
            if known and known["at"] > now - 7200:
                if known["body"] != request.body:
                    return Answer(400, {"error": "IdempotentRequestError",
                                        "description": "Request parameters do not match the previous request with this key"})
                return Answer(201, known["answer"], {"x-idempotency-lookup": "hit"})
        answer = json.dumps({"ticket": self.shown(self.make(body["ticket"]))}).encode()
        if key:
            self.keys[key] = {"at": now, "body": request.body, "answer": answer}
        id = json.loads(answer)["ticket"]["id"]
        headers = {"Location": f"{self.desk.url}/api/v2/tickets/{id}.json"}
        return Answer(201, answer, {**headers, **({"x-idempotency-lookup": "miss"} if key else {})})

    def make(self, fields):
        """A ticket with its first comment."""
        if not (fields.get("comment") or fields.get("description")):
            raise Refused(self.desk.invalid("description", "Description: cannot be blank"))
        requester = fields.get("requester_id") or self.requester(fields.get("requester") or {})
        source = self.records.get(str(fields.get("via_followup_source_id")))
        if "via_followup_source_id" in fields and (source is None or source["status"] != "closed"):
            raise Refused(self.desk.invalid("via_followup_source_id", "The source is not a closed ticket"))
        id = next(self.desk.numbers)
        ticket = {"id": id, "subject": None, "priority": None, "type": None, "external_id": None, "assignee_id": None, "group_id": None,
                  "brand_id": None, "via_followup_source_id": None, "status": fields.get("status", "new"), "requester_id": requester,
                  "tags": [], "custom_fields": [{"id": field, "value": None} for field in self.fields], "comments": [], "audits": []}
        first = fields.get("comment") or {"body": fields["description"]}
        self.fill(ticket, fields)
        self.comment(ticket, {"author_id": requester, **first}, fields)
        self.records[str(id)] = ticket
        return ticket

    def requester(self, fields):
        """A user that is known, or a new one, who gets a mail."""
        known = self.desk.users.known(fields)
        if known is None and fields:
            known = self.desk.users.make(fields)
            self.desk.mails += bool(fields.get("email"))
        return known["id"] if known else next(iter(self.desk.users.records.values()))["id"]

    def update(self, ticket, fields):
        """One change and at most one comment. A closed ticket is closed for good."""
        self.desk.endpoint("ticket-update", self.desk.settings["updates_per_min"], 60)
        window = self.per_ticket.setdefault(ticket["id"], Window(self.desk.clock, 600))
        if window.add() > self.desk.settings["updates_per_ticket"]:
            raise Refused(self.desk.limited(60))
        if ticket["status"] == "closed":
            return self.desk.invalid("status", "Status: closed prevents ticket update")
        if fields.get("safe_update") and fields.get("updated_stamp") != ticket["updated_at"]:
            return Answer(409, {"error": "UpdateConflict", "description": "Safe Update prevented the update due to outdated data"})
        self.fill(ticket, fields)
        if "status" in fields:
            ticket["status"] = fields["status"]
        # `uploads` on the ticket itself is ignored, without a word.
        if "comment" in fields:
            self.comment(ticket, fields["comment"], fields)
        else:
            self.audit(ticket, [{"type": "Change"}], fields)
        return Answer(200, {"ticket": self.shown(ticket), "audit": ticket["audits"][-1]})

    def fill(self, ticket, fields):
        ticket.update({key: fields[key] for key in KEPT if key in fields})
        if "tags" in fields:
            # A list replaces, and blanks separate.
            ticket["tags"] = sorted({word for tag in fields["tags"] for word in tag.lower().split()})
        for wanted in fields.get("custom_fields", []):
            if not isinstance(wanted.get("id"), int):
                raise Refused(self.desk.invalid("custom_fields", "Custom fields are named by a number"))
            for field in ticket["custom_fields"]:
                if field["id"] == wanted["id"]:
                    field["value"] = wanted["value"]
        ticket["updated_at"] = self.time()
        ticket["_written"] = self.desk.clock.now()

    def comment(self, ticket, wanted, fields):
        """A comment, public unless it says otherwise; a public one is a mail to the requester."""
        text = wanted.get("html_body") or wanted.get("body") or ""
        if len(text) > COMMENT_MAX:
            raise Refused(self.desk.invalid("comment", "Comment: is too long"))
        if not text and not wanted.get("uploads"):
            raise Refused(self.desk.invalid("comment", "Comment: cannot be blank"))
        id = next(self.desk.numbers)
        files = self.desk.uploads.take(wanted.get("uploads", []), id)
        public = wanted.get("public", True)
        author = wanted.get("author_id") or next(iter(self.desk.users.records.values()))["id"]
        ticket["comments"].append({"id": id, "type": "Comment", "body": re.sub(r"<[^>]+>", "", text), "public": public, "files": files,
                                   "html_body": text, "author_id": author})
        if public and author != ticket["requester_id"]:
            self.desk.mails += 1
        self.audit(ticket, [{"id": id, "type": "Comment", "public": public, "body": text}], fields)

    def audit(self, ticket, events, fields):
        ticket["audits"].append({"id": next(self.desk.numbers), "ticket_id": ticket["id"], "events": events,
                                 "metadata": {"system": {}, "custom": fields.get("metadata", {})}})

    # Tags.

    def tags(self, request, ticket):
        """PUT adds, POST sets, DELETE takes away."""
        if request.method != "GET":
            if ticket["status"] == "closed":
                return self.desk.invalid("status", "Status: closed prevents ticket update")
            words = {word for tag in request.json().get("tags", []) for word in tag.lower().split()}
            has = set(ticket["tags"])
            ticket["tags"] = sorted({"PUT": has | words, "POST": words, "DELETE": has - words}[request.method])
        return Answer(201 if request.method == "POST" else 200, {"tags": ticket["tags"]})

    # Redaction.

    def redact(self, request, ticket, rest):
        """PUT /tickets/T/comments/C/redact, …/make_private, …/attachments/A/redact. Not in closed tickets."""
        comment = next((item for item in ticket["comments"] if str(item["id"]) == rest[0]), None)
        if comment is None:
            return self.desk.not_found(request)
        if ticket["status"] == "closed":
            return self.desk.invalid("status", "Status: closed prevents ticket update")
        if rest[1:] == ["make_private"]:
            comment["public"] = False
            return Answer(200, {})
        if rest[1:] == ["redact"]:
            text = request.json()["text"]
            if text not in comment["body"]:
                return self.desk.invalid("text", "The text does not stand in the comment")
            comment["body"] = comment["body"].replace(text, "▇" * len(text))
            comment["html_body"] = comment["html_body"].replace(text, "▇" * len(text))
            return Answer(200, {"comment": self.comment_shown(comment)})
        if len(rest) == 4 and rest[1::2] == ["attachments", "redact"] and rest[2].isdigit() and int(rest[2]) in comment["files"]:
            return self.desk.uploads.redact(int(rest[2]))
        return self.desk.not_found(request)

    def redaction(self, request, id):
        """PUT /comment_redactions/C {ticket_id, html_body with <redact>, external_attachment_urls}: in closed tickets too."""
        body = request.json()
        ticket = self.records.get(str(body.get("ticket_id")))
        comment = next((item for item in (ticket or {"comments": []})["comments"] if str(item["id"]) == id), None)
        if request.method != "PUT" or comment is None:
            return self.desk.not_found(request)
        for text in re.findall(r"<redact>(.*?)</redact>", body.get("html_body", ""), re.DOTALL):
            comment["html_body"] = comment["html_body"].replace(text, "▇" * len(text))
            plain = re.sub(r"<[^>]+>", "", text)
            comment["body"] = comment["body"].replace(plain, "▇" * len(plain))
        for url in body.get("external_attachment_urls", []):
            for file in comment["files"]:
                if url == self.desk.uploads.shown(self.desk.uploads.files[file])["content_url"]:
                    self.desk.uploads.redact(file)
        return Answer(200, {"comment": self.comment_shown(comment)})

    # What is shown.

    def live(self):
        return [ticket for ticket in self.records.values() if ticket["status"] != "deleted"]

    def field(self, title, type):
        id = next(self.desk.numbers)
        self.fields[id] = {"id": id, "title": title, "type": type, "active": True, "removable": type != "subject"}
        return self.fields[id]

    def shown(self, ticket):
        return {key: value for key, value in ticket.items() if key not in ("comments", "audits", "_written")}

    def comment_shown(self, comment):
        shown = {key: value for key, value in comment.items() if key != "files"}
        return {**shown, "attachments": [self.desk.uploads.shown(self.desk.uploads.files[id]) for id in comment["files"]]}

    def time(self):
        now = datetime.datetime.fromtimestamp(self.desk.clock.now(), datetime.timezone.utc)
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def state(self):
        return [{**self.shown(item), "comments": [self.comment_shown(one) for one in item["comments"]]} for item in self.records.values()]
