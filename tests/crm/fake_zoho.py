"""Zoho CRM (v8) as far as `deliver` uses it: tokens, records, notes, attachments, tags, credits (sheet: docs/deliver/fakes.md).

The client is `client`/`secret`, the refresh token `refresh-1`.
"""

import datetime
import re

from common import Fake, Window
from message import Answer, Refused
from zoho_files import Attachments
from zoho_records import Records

TOKEN_S = 3600


class Zoho(Fake):
    """The whole organization."""

    def __init__(self):
        super().__init__()
        self.settings = {"credits": 50000, "file_bytes": 20_000_000, "storage_bytes": 1 << 40, "tokens": 10, "refused": "invalid_code"}
        self.day = Window(self.clock, 86400)
        self.refreshes = Window(self.clock, 600)
        self.workflows = 0
        self.records = Records(self)
        self.attachments = Attachments(self)

    def units(self, request):
        """One credit for ten records that are written, and for any other call. Tokens cost none."""
        if request.segments[0] == "oauth":
            return 0
        try:
            count = len(request.json()["data"])
        except (ValueError, KeyError, TypeError):
            count = 1
        return (count + 9) // 10

    def handle(self, request):
        """One call."""
        path = request.segments
        if path[:3] == ["oauth", "v2", "token"]:
            return self.token(request)
        if path[0] != "crm" or len(path) < 3 or not re.fullmatch(r"v[2-8]", path[1]):
            return error(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
        token = self.authorize(request)
        for _ in range(self.units(request)):
            used = self.day.add()
        if used > self.settings["credits"]:
            return self.quota(request)
        try:
            answer = self.route(request, path[2:])
        except Refused as refused:
            answer = refused.answer
        ends = datetime.datetime.fromtimestamp(self.tokens[token], datetime.timezone.utc)
        answer.headers["x-accesstoken-reset"] = ends.isoformat(timespec="seconds")
        if used * 2 >= self.settings["credits"]:
            # Told from the half on only.
            answer.headers["X-API-CREDITS-REMAINING"] = str(self.settings["credits"] - used)
        return answer

    def route(self, request, path):
        """Below /crm/v8."""
        if path[0] == "settings":
            return self.records.meta(request, path[1:])
        if path[0] == "files":
            return self.attachments.files(request)
        if path[0] == "org" and request.method == "GET":
            return Answer(200, {"org": [{"company_name": "Test", "id": "1"}]})
        if path[0] == "users" and request.method == "GET":
            return Answer(200, {"users": [{"id": "1", "email": "integration@example.test", "full_name": "Integration", "status": "active"}]})
        if path[0] not in self.records.fields:
            return error(400, "INVALID_MODULE", "the module name given seems to be invalid")
        if len(path) > 2 and path[2] == "Attachments":
            return self.attachments.route(request, path)
        return self.records.route(request, path)

    def authorize(self, request):
        """`Authorization: Zoho-oauthtoken …`, and not Bearer."""
        if "authorization" not in request.headers:
            raise Refused(error(401, "AUTHENTICATION_FAILURE", "Authentication failed"))
        token = request.bearer("Zoho-oauthtoken")
        if not self.is_live(token):
            raise Refused(error(401, "INVALID_TOKEN", "invalid oauth token"))
        return token

    def token(self, request):
        """POST /oauth/v2/token. What is refused is 200 with `error`, and the eleventh token in ten minutes is blocked."""
        form = {**request.query, **(request.form() if request.media_type() == "application/x-www-form-urlencoded" else {})}
        if form.get("client_id") != "client":
            return Answer(200, {"error": "invalid_client"})
        if form.get("client_secret") != "secret":
            return Answer(200, {"error": "invalid_client_secret"})
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != "refresh-1" or self.revoked:
            return Answer(200, {"error": self.settings["refused"]})
        if self.refreshes.add() > self.settings["tokens"]:
            return Answer(400, {"error_description": "You have made too many requests continuously. Please try again after some time.",
                                "error": "Access Denied", "status": "failure"})
        return Answer(200, {"access_token": self.new_token(TOKEN_S), "api_domain": self.url, "token_type": "Bearer",
                            "expires_in": TOKEN_S})

    # Faults.

    def quota(self, request):
        return error(429, "TOO_MANY_REQUESTS", "Exceeded the maximum number of requests")

    def lock(self, request):
        return Answer(202, {"data": [item("RECORD_LOCKED", {}, "record is locked")]})

    def duplicate(self, request):
        """Another program writes the same record just before."""
        path = request.segments[2:]
        if request.method == "POST" and path[-1] in (path[0], "upsert") and request.media_type() == "application/json":
            self.records.insert(path[0], dict(request.json()["data"][0]))

    def time(self):
        now = datetime.datetime.fromtimestamp(self.clock.now(), datetime.timezone.utc)
        return now.isoformat(timespec="seconds")

    def state(self):
        return {"records": self.records.state(), "attachments": self.attachments.state(), "workflows": self.workflows}

    # What a person does.

    def act_create(self, type, fields):
        return {"id": self.records.insert(type, fields)["id"]}

    def act_delete(self, type, id):
        self.records.all[type][id]["_deleted"] = True

    def act_field(self, type, name, data_type="text", unique=False, length=255):
        self.records.fields[type][name] = {"data_type": data_type, "unique": unique, "length": length}


def error(status, code, message, details=None):
    return Answer(status, {"code": code, "details": details or {}, "message": message, "status": "error"})


def item(code, details, message):
    """What stands in `data` for a record that was refused."""
    return {"code": code, "details": details, "message": message, "status": "error"}
