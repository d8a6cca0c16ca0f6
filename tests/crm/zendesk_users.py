"""Zendesk's users: search, create or update, identities."""

from common import digits
from message import Answer


class Users:
    """All users of the account."""

    def __init__(self, desk):
        self.desk = desk
        self.records = {}
        self.fields = ["media_key"]
        self.make({"name": "Agent", "email": "agent@example.test", "role": "agent"})

    def route(self, request, path):
        """Below /api/v2/users."""
        method = request.method
        if path[0] == "user_fields":
            fields = [{"id": 900 + at, "key": key, "type": "text"} for at, key in enumerate(self.fields)]
            return Answer(200, {"user_fields": fields, "count": len(fields)})
        if (method, path[1:]) == ("GET", ["search"]):
            return self.search(request)
        if (method, path[1:]) == ("GET", ["me"]):
            return Answer(200, {"user": next(iter(self.records.values()))})
        if (method, path[1:]) == ("POST", ["create_or_update"]):
            return self.upsert(request.json()["user"])
        if (method, path[1:]) == ("POST", []):
            return self.create(request.json()["user"])
        if (method, path[1:]) == ("POST", ["create_or_update_many"]):
            return Answer(403, {"error": "Forbidden", "description": "Bulk creation is enabled on request"})
        record = self.records.get(path[1]) if len(path) > 1 else None
        if record is None:
            return self.desk.not_found(request)
        return self.one(request, record, path[2:])

    def one(self, request, record, rest):
        if rest == ["identities"] and request.method == "GET":
            return Answer(200, {"identities": self.identities(record)})
        if rest == ["tickets", "requested"]:
            found = [self.desk.tickets.shown(item) for item in self.desk.tickets.live() if item["requester_id"] == record["id"]]
            return Answer(200, {"tickets": found, "count": len(found)})
        if request.method == "GET" and not rest:
            return Answer(200, {"user": self.shown(record)})
        if request.method == "PUT" and not rest:
            self.desk.endpoint(f"user-{record['id']}", 5, 60)
            return Answer(200, {"user": self.shown(self.change(record, request.json()["user"]))})
        if request.method == "DELETE" and not rest:
            if any(item["requester_id"] == record["id"] for item in self.desk.tickets.live()):
                return self.desk.invalid("base", "User has tickets that are not closed")
            del self.records[str(record["id"])]
            return Answer(200, {"user": {**self.shown(record), "active": False}})
        return self.desk.not_found(request)

    def search(self, request):
        """By `external_id`, or by a query, which reads an index: late, and phones by parts of them."""
        live = self.records.values()
        if "external_id" in request.query:
            wanted = request.query["external_id"].lower()
            found = [user for user in live if (user["external_id"] or "").lower() == wanted]
        else:
            query = request.query.get("query", "").strip()
            if not query:
                return Answer(400, {"error": "BadRequest", "description": "query is required"})
            found = [user for user in live if self.desk.seen_by_search(user) and matches(user, query)]
        return Answer(200, {"users": [self.shown(user) for user in found], "count": len(found), "next_page": None})

    def known(self, fields):
        """By email, or by external id without regard to case."""
        email, external = (fields.get("email") or "").lower(), (fields.get("external_id") or "").lower()
        for user in self.records.values():
            if email and (user["email"] or "").lower() == email or external and (user["external_id"] or "").lower() == external:
                return user
        return None

    def upsert(self, fields):
        """201 new, 200 old, both with Location. The external id is stored as it is written now."""
        user = self.known(fields)
        if user is None:
            return self.create(fields)
        self.change(user, fields)
        return Answer(200, {"user": self.shown(user)}, {"Location": self.location(user)})

    def create(self, fields):
        if not fields.get("name"):
            return self.desk.invalid("name", "Name: cannot be blank")
        if self.known({"email": fields.get("email")}):
            return self.desk.invalid("email", f"Email: {fields['email']} is already being used by another user")
        user = self.make(fields)
        if user["email"] and not fields.get("skip_verify_email"):
            # The customer gets a mail.
            self.desk.mails += 1
        return Answer(201, {"user": self.shown(user)}, {"Location": self.location(user)})

    def location(self, user):
        return f"{self.desk.url}/api/v2/users/{user['id']}.json"

    def make(self, fields):
        """A user, without any check."""
        id = next(self.desk.numbers)
        user = {"id": id, "name": None, "email": None, "phone": None, "external_id": None, "role": "end-user",
                "shared_phone_number": None, "user_fields": {}, "suspended": False}
        self.records[str(id)] = user
        return self.change(user, fields)

    def change(self, user, fields):
        user.update({key: value for key, value in fields.items() if key in user and key != "id"})
        user["_written"] = self.desk.clock.now()
        return user

    def identities(self, user):
        both = [("email", user["email"]), ("phone_number", None if user["shared_phone_number"] else user["phone"])]
        return [{"id": user["id"] * 10 + at, "user_id": user["id"], "type": kind, "value": value, "verified": True, "primary": True}
                for at, (kind, value) in enumerate(both) if value]

    def shown(self, user):
        return {key: value for key, value in user.items() if not key.startswith("_")}

    def state(self):
        return [self.shown(user) for user in self.records.values()]


def matches(user, query):
    """`phone:…`, `email:…`, `role:…` or words; parts of a number are enough."""
    key, colon, value = query.partition(":")
    value = value.strip().strip('"')
    if colon and key == "phone":
        return bool(digits(value)) and digits(value) in digits(user["phone"])
    if colon:
        return value.lower() in str(user.get(key) or "").lower()
    return query.lower() in " ".join(str(user[key] or "") for key in ("name", "email", "phone")).lower()
