#!/usr/bin/env python3
"""An OpenID Connect provider: Authlib's authorization server, joserfc's keys. Prints its port first.

  provider.py CLIENT_ID CLIENT_SECRET REDIRECT_URI

Everybody is maria and says yes. GET /control?mode=MODE makes the next answers wrong in one way; ?callback=URL is another REDIRECT_URI.
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import sys
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode as Base
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = sys.argv[1:4]
app = Flask("provider")
http = make_server("127.0.0.1", 0, app, threaded=True)
ISSUER = f"http://127.0.0.1:{http.server_port}"
state = {"mode": "good", "callback": REDIRECT_URI, "asked": []}
codes = {}


def rsa(kid):
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, auto_kid=False)


first, second, foreign, same_id = rsa("r1"), rsa("r2"), rsa("r9"), rsa("r1")
curve = ECKey.generate_key("P-256", {"kid": "e1", "use": "sig"}, auto_kid=False)


class Client(ClientMixin):
    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return REDIRECT_URI

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == state["callback"]

    def check_client_secret(self, client_secret):
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == ("client_secret_post" if state["mode"] == "by-body" else "client_secret_basic")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


class User:
    def get_user_id(self):
        return "maria"


class Code(AuthorizationCodeMixin):
    def __init__(self, payload):
        self.redirect_uri, self.scope = payload.redirect_uri, payload.scope
        self.nonce = payload.data.get("nonce")
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return int(time.time())

    def get_acr(self):
        return None

    def get_amr(self):
        return None


class Grant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code, request):
        codes[code] = Code(request.payload)

    def query_authorization_code(self, code, client):
        return None if state["mode"] == "code-expired" else codes.get(code)

    def delete_authorization_code(self, authorization_code):
        for code in [code for code, known in codes.items() if known is authorization_code]:
            del codes[code]

    def authenticate_user(self, authorization_code):
        return User()


def unsigned(claims, header, signature=""):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part(header)}.{part(claims)}.{signature}"


def by_shared_key(claims, key):
    """HS256, which joserfc does not do with a public key."""
    signed = unsigned(claims, {"alg": "HS256", "kid": "r1"})[:-1]
    mac = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


class OpenIDCode(Base):
    """What the library makes, and what it would not make."""

    def exists_nonce(self, nonce, request):
        return any(code.nonce == nonce for code in codes.values())

    def resolve_client_private_key(self, client):
        return first

    def get_client_claims(self, client):
        return {"iss": ISSUER, "aud": [CLIENT_ID]}

    def get_encode_header(self, client):
        return {"alg": "RS256", "kid": "r1", "typ": "JWT"}

    def generate_user_info(self, user, scope):
        roles = {"text-role": "lead", "no-roles": None, "unknown-roles": ["boss"]}.get(state["mode"], ["lead", "boss"])
        info = UserInfo(sub="maria", name="Maria Silva", email="maria@example.test")
        return UserInfo({**info, "roles": roles}) if roles else info

    def encode_id_token(self, token, request):
        mode, good = state["mode"], super().encode_id_token(token, request)
        claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
        signed = lambda key, alg, kid, **more: jwt.encode({"alg": alg, "kid": kid}, {**claims, **more}, key, [alg])
        now = int(time.time())
        changed = {
            "nonce": {"nonce": "of-another-login"},
            "no-nonce": {"nonce": None},
            "aud": {"aud": ["another"]},
            "aud-and-other": {"aud": [CLIENT_ID, "another"]},
            "azp": {"azp": "another"},
            "iss": {"iss": "https://evil.example"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "no-sub": {"sub": ""},
        }
        if mode in changed:
            return signed(first, "RS256", "r1", **changed[mode])
        return {
            "none": lambda: unsigned(claims, {"alg": "none"}),
            "none-with-signature": lambda: unsigned(claims, {"alg": "none"}, good.split(".")[2]),
            "swapped": lambda: unsigned({**claims, "sub": "eve"}, {"alg": "RS256", "kid": "r1"}, good.split(".")[2]),
            "hs256": lambda: by_shared_key(claims, CLIENT_SECRET.encode()),
            "hs256-with-public-key": lambda: by_shared_key(claims, first.as_pem(private=False)),
            "other-key": lambda: signed(foreign, "RS256", "r9"),
            "same-kid": lambda: signed(same_id, "RS256", "r1"),
            "es256": lambda: signed(curve, "ES256", "e1"),
            "ps256": lambda: signed(first, "PS256", "r1"),
            "replaced": lambda: signed(second, "RS256", "r2"),
        }.get(mode, lambda: good)()

    def process_token(self, grant, response):
        if state["mode"] == "no-id-token":
            return response[1]
        return super().process_token(grant, response)


server = AuthorizationServer(app, query_client=lambda id: Client() if id == CLIENT_ID else None, save_token=lambda *_: None)
server.register_grant(Grant, [OpenIDCode(require_nonce=True), CodeChallenge(required=True)])


@app.get("/.well-known/openid-configuration")
def discovery():
    return jsonify(
        issuer="https://evil.example" if state["mode"] == "wrong-issuer" else ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri=f"{ISSUER}/jwks",
        response_types_supported=["code"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256", "ES256", "PS256", "HS256", "none"],
        token_endpoint_auth_methods_supported=["client_secret_post" if state["mode"] == "by-body" else "client_secret_basic"],
    )


@app.get("/jwks")
def jwks():
    keys = [first, curve] + ([second] if state["mode"] == "replaced" else [])
    return jsonify(keys=[{"kty": "unknown", "kid": "x"}, *(key.as_dict(private=False) for key in keys)])


@app.get("/authorize")
def authorize():
    state["asked"].append(request.args.to_dict())
    grant = server.get_consent_grant(end_user=User())
    return server.create_authorization_response(grant_user=None if state["mode"] == "deny" else User(), grant=grant)


@app.post("/token")
def token():
    if state["mode"] == "token-500":
        return "<h1>no</h1>", 500
    return server.create_token_response()


@app.get("/control")
def control():
    state.update({key: value for key, value in request.args.items() if key in ("mode", "callback")})
    return jsonify(state)


print(http.server_port, flush=True)
http.serve_forever()
