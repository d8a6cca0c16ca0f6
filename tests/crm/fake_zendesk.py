"""Zendesk Support as far as `deliver` uses it: tokens, users, tickets, uploads, redaction, limits (sheet: docs/deliver/fakes.md).

OAuth: the client `client`/`secret`, and the refresh token `refresh-1`, which each refresh replaces. API token: `agent@example.test/token`
with `zd-token`, while `set` leaves `api_tokens` true.
"""

from common import Fake, Window
from message import Answer, Refused
from zendesk_tickets import Tickets
from zendesk_uploads import Uploads
from zendesk_users import Users


class Zendesk(Fake):
    """The whole account."""

    def __init__(self):
        super().__init__()
        self.settings = {"api_tokens": True, "per_min": 400, "updates_per_min": 100, "updates_per_ticket": 30, "list_per_min": 100,
                         "upload_bytes": 50_000_000, "upload_s": 3600, "private_attachments": True}
        self.refresh = "refresh-1"
        self.minute = Window(self.clock, 60)
        self.endpoints = {}
        self.mails = 0
        self.users = Users(self)
        self.uploads = Uploads(self)
        self.tickets = Tickets(self)

    def handle(self, request):
        """One call. `.json` at the end of a path may stand or not."""
        path = [part.removesuffix(".json") for part in request.segments]
        if path == ["oauth", "tokens"]:
            return self.token(request)
        if path[0] == "attachments":
            return self.uploads.content(request, path[1])
        if path[:2] != ["api", "v2"]:
            return Answer(404)
        self.authorize(request)
        if self.minute.add() > self.settings["per_min"]:
            raise Refused(self.limited(60))
        answer = self.route(request, path[2:])
        answer.headers.update(self.rate_headers())
        return answer

    def route(self, request, path):
        part = {"users": self.users, "user_fields": self.users, "tickets": self.tickets, "ticket_fields": self.tickets,
                "search": self.tickets, "comment_redactions": self.tickets, "uploads": self.uploads,
                "attachments": self.uploads}.get(path[0] if path else "")
        return part.route(request, path) if part else self.not_found(request)

    # Tokens.

    def authorize(self, request):
        """A live access token as Bearer; or Basic with an API token, while there are such."""
        if self.is_live(request.bearer()):
            return
        if self.settings["api_tokens"] and request.basic() == ("agent@example.test/token", "zd-token") and not self.revoked:
            return
        raise Refused(Answer(401, {"error": "Couldn't authenticate you"}))

    def token(self, request):
        """POST /oauth/tokens with JSON. A refresh ends both old tokens."""
        form = request.json() if request.media_type() == "application/json" else request.form()
        if (form.get("client_id"), form.get("client_secret")) != ("client", "secret"):
            return oauth(401, "invalid_client")
        if self.revoked:
            return oauth(400, "invalid_grant")
        grant, seconds = form.get("grant_type"), int(form.get("expires_in", 1800))
        if not 300 <= seconds <= 172800:
            return oauth(400, "invalid_request")
        if grant == "client_credentials":
            return Answer(200, self.granted(seconds, form))
        if grant != "refresh_token":
            return oauth(400, "unsupported_grant_type")
        if form.get("refresh_token") != self.refresh:
            return oauth(400, "invalid_grant")
        self.tokens.clear()
        self.refresh = f"refresh-{next(self.numbers)}"
        return Answer(200, {**self.granted(seconds, form), "refresh_token": self.refresh, "refresh_token_expires_in": 7776000})

    def granted(self, seconds, form):
        return {"access_token": self.new_token(seconds), "token_type": "bearer", "scope": form.get("scope", "read write"),
                "expires_in": seconds}

    # Limits.

    def endpoint(self, name, limit, seconds):
        """Counts a call of an endpoint's own bucket; 429 where it is empty, below the account's limit too."""
        window = self.endpoints.setdefault(name, Window(self.clock, seconds))
        if window.add() > limit:
            raise Refused(self.limited(41, {f"Zendesk-RateLimit-{name}": f"total={limit}; remaining=0; resets=41"}))

    def limited(self, seconds, headers=None):
        return Answer(429, {"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"},
                      {"Retry-After": str(seconds), **(headers or {})})

    def rate_headers(self):
        most, used = self.settings["per_min"], len(self.minute.times)
        left = str(max(most - used, 0))
        return {"X-Rate-Limit": str(most), "X-Rate-Limit-Remaining": left, "ratelimit-limit": str(most), "ratelimit-remaining": left,
                "ratelimit-reset": "41"}

    # Errors and faults.

    def not_found(self, request):
        """404 has no body after PUT and DELETE."""
        if request.method in ("PUT", "DELETE"):
            return Answer(404)
        return Answer(404, {"error": "RecordNotFound", "description": "Not found"})

    def invalid(self, field, text):
        return Answer(422, {"error": "RecordInvalid", "description": "Record validation errors",
                            "details": {field: [{"error": "InvalidValue", "description": text}]}})

    def quota(self, request):
        return self.limited(2)

    def lock(self, request):
        return Answer(409, {"error": "Conflict", "description": "The resource is locked. Try again later"})

    def duplicate(self, request):
        """Another agent writes just before: a comment in the ticket, or a ticket with the same external id."""
        path = [part.removesuffix(".json") for part in request.segments[2:]]
        if request.method == "PUT" and path[0] == "tickets":
            self.tickets.comment(self.tickets.records[path[1]], {"body": "another agent's", "public": False}, {})
        if request.method == "POST" and path == ["tickets"]:
            self.tickets.make(request.json()["ticket"])

    def state(self):
        return {"users": self.users.state(), "tickets": self.tickets.state(), "uploads": self.uploads.state(), "mails": self.mails}

    # What a person does.

    def act_user(self, **fields):
        return {"id": self.users.make(fields)["id"]}

    def act_ticket(self, **fields):
        return {"id": self.tickets.make(fields)["id"]}

    def act_close(self, id):
        self.tickets.records[str(id)]["status"] = "closed"

    def act_delete(self, id):
        self.tickets.records[str(id)]["status"] = "deleted"

    def act_field(self, title, type="text"):
        return {"id": self.tickets.field(title, type)["id"]}


def oauth(status, error):
    return Answer(status, {"error": error, "error_description": "The grant or the client is not valid"})
