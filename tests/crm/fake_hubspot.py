"""HubSpot as far as `deliver` uses it: objects, associations, properties, files, limits (sheet: docs/deliver/fakes.md).

A static key is `pat-test-key`; OAuth has the client `client`/`secret` and the refresh token `refresh-1`.
"""

import re

from common import Fake, Window
from hubspot_files import Files
from hubspot_objects import Objects
from message import Answer, Refused

KEY = "pat-test-key"
VERSIONS = {"v3", "v4", "2026-03", "2026-09"}
SECRETS = {"client_id": "client", "client_secret": "secret"}


class HubSpot(Fake):
    """The whole account."""

    def __init__(self):
        super().__init__()
        self.settings = {"max": 190, "daily": 650000, "search_per_s": 5, "file_bytes": 20_000_000, "required": {}}
        self.burst = Window(self.clock, 10)
        self.day = Window(self.clock, 86400)
        self.searches = Window(self.clock, 1)
        self.objects = Objects(self)
        self.files = Files(self)
        self.traces = 0

    def handle(self, request):
        """One call."""
        path = request.segments
        if path[0] == "oauth":
            return self.token(request)
        if path[0] == "files-content":
            return self.files.content(request)
        self.authorize(request)
        search = path[-1] == "search" and request.method == "POST"
        self.count(search)
        answer = self.route(request)
        if not search:
            answer.headers.update(self.rate_headers())
        return answer

    def route(self, request):
        """By path. The version stands after the area; v3 and v4 stand before it: /crm/v3/objects."""
        path = list(request.segments)
        if len(path) > 2 and path[0] == "crm" and path[1] in ("v3", "v4"):
            path[1], path[2] = path[2], path[1]
        if len(path) < 3 or path[2] not in VERSIONS and path[1] not in VERSIONS:
            return self.error(404, "No such path")
        if path[:2] == ["crm", "objects"]:
            return self.objects.route(request, path[2], path[3:])
        if path[:2] == ["crm", "properties"]:
            return self.objects.properties(request, path[3:])
        if path[:2] == ["crm", "associations"]:
            return self.error(404, "No such path")
        if path[0] == "files":
            return self.files.route(request, path[2:])
        return self.error(404, "No such path")

    def authorize(self, request):
        """A static key or a live token, as Bearer."""
        token = request.bearer()
        if token == KEY and not self.revoked or self.is_live(token):
            return
        expired = token in self.tokens
        raise Refused(self.error(401, "The OAuth token expired" if expired else "Authentication credentials not found. This API "
                                 "supports OAuth 2.0 authentication", "EXPIRED_AUTHENTICATION" if expired else
                                 "INVALID_AUTHENTICATION"))

    def token(self, request):
        """POST /oauth/{version}/token. What is dead is 400."""
        form = request.form()
        if request.method != "POST" or request.media_type() != "application/x-www-form-urlencoded":
            return self.error(415, "Unsupported media type")
        if any(form.get(name) != value for name, value in SECRETS.items()):
            return Answer(400, {"status": "BAD_CLIENT_ID", "message": "missing or unknown client id", "error": "invalid_client"})
        if self.revoked:
            return Answer(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token",
                                "error": "invalid_grant"})
        if form.get("grant_type") == "refresh_token" and form.get("refresh_token") != "refresh-1":
            return Answer(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token",
                                "error": "invalid_grant"})
        if form.get("grant_type") not in ("refresh_token", "client_credentials"):
            return Answer(400, {"status": "BAD_GRANT_TYPE", "message": "grant_type", "error": "unsupported_grant_type"})
        return Answer(200, {"token_type": "bearer", "access_token": self.new_token(1800), "refresh_token": "refresh-1",
                            "expires_in": 1800, "hub_id": 1, "scopes": ["files"]})

    def count(self, search):
        """Counts the call; 429 with the policy's name where a limit is reached."""
        if search and self.searches.add() > self.settings["search_per_s"]:
            raise Refused(self.limited("SECONDLY", "You have reached your secondly limit."))
        if self.day.add() > self.settings["daily"]:
            raise Refused(self.limited("DAILY", "You have reached your daily limit."))
        if self.burst.add() > self.settings["max"]:
            raise Refused(self.limited("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit."))

    def limited(self, policy, message):
        answer = self.error(429, message, "RATE_LIMITS")
        body = {"status": "error", "message": message, "errorType": "RATE_LIMIT", "correlationId": self.trace(),
                "policyName": policy}
        return Answer(429, body, {} if policy == "SECONDLY" else answer.headers)

    def rate_headers(self):
        used = len(self.burst.times)
        return {
            "X-HubSpot-RateLimit-Max": str(self.settings["max"]),
            "X-HubSpot-RateLimit-Remaining": str(max(self.settings["max"] - used, 0)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": str(self.settings["daily"]),
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(self.settings["daily"] - len(self.day.times), 0)),
        }

    def trace(self):
        self.traces += 1
        return f"00000000-0000-4000-8000-{self.traces:012d}"

    def error(self, status, message, category="OBJECT_NOT_FOUND", errors=None):
        body = {"status": "error", "message": message, "correlationId": self.trace(), "category": category}
        if errors:
            body["errors"] = errors
        return Answer(status, body)

    def quota(self, request):
        return self.limited("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit.")

    def lock(self, request):
        return self.error(423, "The object is locked. Try again later.", "LOCKED")

    def duplicate(self, request):
        """Another program writes the same object just before."""
        match = re.search(r"/objects/(?:[^/]+/)?(contacts|notes|tickets)$", request.path)
        if match and request.method == "POST":
            self.objects.create(match.group(1), dict(request.json().get("properties", {})))

    def state(self):
        return {"objects": self.objects.state(), "files": self.files.state(), "associations": self.objects.links()}

    # What a person does.

    def act_create(self, type, properties):
        return {"id": self.objects.create(type, properties)["id"]}

    def act_associate(self, one, other):
        """Each is [type, id]."""
        self.objects.associate(tuple(one), tuple(other))

    def act_delete(self, type, id):
        self.objects.records[type][id]["archived"] = True
