"""Salesforce as far as `deliver` uses it: tokens, sObjects, files, SOQL, SOSL, composite (sheet: docs/deliver/fakes.md).

The app is `consumer`/`secret`; for JWT bearer the user is `integration@example.test`, and `set` gives the app's public key:
{"act": "set", "public_key": "path of a PEM file"}. `install` adds the object `Mediamill_Media__c`.
"""

import base64
import json
import re
import subprocess
import tempfile

from common import Fake, Window
from message import Answer, Refused
from salesforce_composite import composite
from salesforce_objects import Objects
from salesforce_query import Queries

USER = "integration@example.test"
JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
SESSION_S = 7200


class Salesforce(Fake):
    """The whole org."""

    def __init__(self):
        super().__init__()
        self.settings = {"calls": 15000, "file_bytes": 2_000_000_000, "storage_bytes": 1 << 40, "public_key": None, "my_domain": True,
                         "rest": True, "hidden": [], "block_duplicates": False}
        self.day = Window(self.clock, 86400)
        self.objects = Objects(self)
        self.queries = Queries(self.objects)

    def handle(self, request):
        """One call."""
        path = request.segments
        if path[:2] == ["services", "oauth2"]:
            return self.token(request) if path[2:] == ["token"] else error(404, "NOT_FOUND", "The requested resource does not exist")
        if path[:2] != ["services", "data"]:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        if len(path) == 2:
            return Answer(200, [{"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"}])
        self.authorize(request)
        if self.day.add() > self.settings["calls"]:
            return self.quota(request)
        answer = self.route(request)
        answer.headers["Sforce-Limit-Info"] = self.limit_info()
        return answer

    def limit_info(self):
        return f"api-usage={len(self.day.times)}/{self.settings['calls']}"

    def route(self, request):
        """Below /services/data/vNN.0."""
        version = re.fullmatch(r"v(\d\d)\.0", request.segments[2])
        path = request.segments[3:]
        if not version or not path:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        if path[0] == "sobjects":
            return self.objects.route(request, int(version.group(1)), path[1:])
        if path[0] in ("query", "queryAll") and request.method == "GET":
            return self.queries.soql(request.query.get("q", ""), path[0] == "queryAll")
        if path[0] == "search" and request.method == "GET":
            return self.queries.sosl(request.query.get("q", ""))
        if path[0] == "composite" and len(path) == 1 and request.method == "POST":
            return composite(self, request)
        if path[0] == "limits":
            most = self.settings["calls"]
            return Answer(200, {"DailyApiRequests": {"Max": most, "Remaining": most - len(self.day.times)}})
        return error(404, "NOT_FOUND", "The requested resource does not exist")

    # Tokens.

    def authorize(self, request):
        """401 for what is no live session, and for one that a refresh cannot mend."""
        if not self.settings["rest"]:
            raise Refused(error(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"))
        if not self.is_live(request.bearer()):
            raise Refused(error(401, "INVALID_SESSION_ID", "Session expired or invalid"))

    def token(self, request):
        """POST /services/oauth2/token. The answer has no life time."""
        form = request.form()
        if request.method != "POST":
            return oauth("invalid_request", "must use HTTP POST")
        if form.get("grant_type") == JWT:
            fault = self.jwt_fault(form.get("assertion", ""))
        elif form.get("grant_type") == "client_credentials":
            fault = self.client_fault(request, form)
        else:
            fault = ("unsupported_grant_type", "grant type not supported")
        if fault is None and self.revoked:
            fault = ("invalid_grant", "user hasn't approved this consumer")
        if fault:
            return oauth(*fault)
        return Answer(200, {"access_token": "00D!" + self.new_token(SESSION_S), "instance_url": self.url, "scope": "api",
                            "id": f"{self.url}/id/00D000000000001EAA/005000000000001AAA", "token_type": "Bearer"})

    def new_token(self, seconds):
        token = super().new_token(seconds)
        self.tokens["00D!" + token] = self.tokens.pop(token)
        return token

    def client_fault(self, request, form):
        """Client credentials work on a My Domain host only."""
        if not self.settings["my_domain"]:
            return "invalid_grant", "request not supported on this domain"
        given = request.basic() or (form.get("client_id"), form.get("client_secret"))
        if given[0] != "consumer":
            return "invalid_client_id", "client identifier invalid"
        return None if given[1] == "secret" else ("invalid_client", "invalid client credentials")

    def jwt_fault(self, assertion):
        """What is wrong with an assertion: RS256 by the app's key, seconds, at most 5 minutes ahead."""
        try:
            head, body, signature = assertion.split(".")
            header, claims = (json.loads(unpadded(text)) for text in (head, body))
        except ValueError:
            return "invalid_grant", "invalid assertion"
        if claims.get("iss") != "consumer":
            return "invalid_client_id", "client identifier invalid"
        if header.get("alg") != "RS256" or not self.settings["public_key"]:
            return "invalid_grant", "invalid assertion"
        if not verified(self.settings["public_key"], f"{head}.{body}".encode(), unpadded(signature)):
            return "invalid_grant", "invalid assertion"
        if claims.get("aud") not in (*AUDIENCES, self.url):
            return "invalid_grant", "audience is invalid"
        now = self.clock.now()
        # A number, or a number as text: the most used client sends the latter.
        end = str(claims.get("exp"))
        if not end.isdigit() or not now < int(end) <= now + 300:
            return "invalid_grant", "expired authorization code"
        return None if claims.get("sub") == USER else ("invalid_grant", "user hasn't approved this consumer")

    # Faults.

    def quota(self, request):
        return error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def lock(self, request):
        return error(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: 003000000001001AAA")

    def duplicate(self, request):
        """Another program writes the same record just before."""
        path = request.segments[4:]
        if request.method == "PATCH" and len(path) == 3:
            self.objects.insert(path[0], {path[1]: path[2], "Name": "another program's"})
        elif request.method == "POST" and request.media_type() == "application/json":
            self.objects.insert(path[0], request.json())

    def state(self):
        return self.objects.state()

    # What a person does.

    def act_create(self, type, fields):
        return {"id": self.objects.insert(type, fields)["Id"]}

    def act_delete(self, type, id):
        self.objects.records[type][id]["IsDeleted"] = True

    def act_install(self):
        self.objects.install()


def error(status, code, message, fields=None):
    """An array, as all errors but those of tokens are."""
    item = {"message": message, "errorCode": code}
    if fields is not None:
        item["fields"] = fields
    return Answer(status, [item])


def oauth(code, text):
    return Answer(400, {"error": code, "error_description": text})


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(key, data, signature):
    """RSASSA-PKCS1-v1_5 with SHA-256, by openssl."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", key, "-signature", file.name]
        return subprocess.run(command, input=data, capture_output=True, check=False).returncode == 0
