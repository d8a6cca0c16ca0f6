#!/usr/bin/env python3
"""The providers' own SDKs as judges of signatures, in both directions.

What `mediamill simulate` sends has to verify with the SDK of the provider that it plays, and what an SDK signs has to be taken
by `mediamill gateway` (and refused where one byte of it is another). Prints a line for each; exit code 1 where one is wrong.

    target/venv-judges/bin/python tests/judges/channels.py target/debug/mediamill
"""

import base64
import collections
import datetime
import hashlib
import hmac
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt
from messagebird import request_validator, signed_request
from messagebird.error import ValidationError
from pywa.utils import webhook_updates_validator
from standardwebhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

KEY = "judges-key"
WHSEC = "whsec_" + base64.b64encode(b"judges-key-of-24-bytes--").decode()
FAILED = []


def judged(name, holds):
    print(f"{'ok  ' if holds else 'FAIL'} {name}", flush=True)
    if not holds:
        FAILED.append(name)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# What simulate sends.


def sent(program, provider, count=25, secret=KEY, refused=0):
    """The webhooks that simulate sends, as (headers, body, url); as many as `refused` are answered with 503 at first."""
    requests, port, wanted = [], free_port(), count + refused
    url = f"http://127.0.0.1:{port}/v1/channels/support?k=1&b=%20"

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.headers, body, url))
            self.send_response(503 if len(requests) <= refused else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    simulate = subprocess.Popen(
        [program, "simulate", provider, "--listen", f"127.0.0.1:{free_port()}", "--webhook", url, "--secret", secret,
         "--count", str(count), "--faults", "noise"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(requests) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    simulate.terminate()
    simulate.wait()
    server.shutdown()
    return requests


def judge_simulate(program):
    meta = sent(program, "whatsapp-cloud")
    good = all(webhook_updates_validator(KEY, body, headers["x-hub-signature-256"]) for headers, body, _ in meta)
    judged(f"pywa takes {len(meta)} webhooks of simulate whatsapp-cloud", good and len(meta) == 25)
    other = any(webhook_updates_validator("other", body, headers["x-hub-signature-256"]) for headers, body, _ in meta)
    judged("pywa refuses them with another app secret", not other)
    escaped = all(all(byte < 128 for byte in body) and b"\\/" in body for _, body, _ in meta)
    judged("their bodies are escaped as Meta does", escaped)
    validator = RequestValidator(KEY)
    twilio = sent(program, "twilio")
    good = all(
        validator.validate(url, dict(urllib.parse.parse_qsl(body.decode(), True)), headers["x-twilio-signature"])
        for headers, body, url in twilio
    )
    judged(f"twilio takes {len(twilio)} webhooks of simulate twilio", good and len(twilio) == 25)
    judge_simulated_messagebird(program)
    judge_simulated_bird(program)
    judge_simulated_by_hand(program)
    stamps = [
        int(message["timestamp"])
        for _, body, _ in meta
        for change in json.loads(body)["entry"][0]["changes"]
        for message in change["value"].get("messages", []) + change["value"].get("statuses", [])
    ]
    judged(f"{len(stamps)} times of simulate whatsapp-cloud are of now", all(abs(time.time() - at) < 120 for at in stamps))


def refuses(verify):
    """Whether the SDK raises an error of its own."""
    try:
        verify()
    except (WebhookVerificationError, ValidationError):
        return True
    return False


def judge_simulated_messagebird(program):
    webhooks = sent(program, "messagebird", refused=25)
    tokens = [headers["messagebird-signature-jwt"] for headers, _, _ in webhooks]
    validator, other = request_validator.RequestValidator(KEY), request_validator.RequestValidator("other")
    pairs = [(token, url, body) for token, (_, body, url) in zip(tokens, webhooks)]
    good = not any(refuses(lambda: validator.validate_signature(*pair)) for pair in pairs)
    judged(f"messagebird takes {len(pairs)} webhooks of simulate messagebird", good and len(pairs) == 50)
    worse = all(refuses(lambda: validator.validate_signature(token, url, body + b" ")) for token, url, body in pairs)
    judged("messagebird refuses them with another body", worse)
    judged("and with another key", all(refuses(lambda: other.validate_signature(*pair)) for pair in pairs))
    ids = {jwt.decode(token, options={"verify_signature": False})["jti"] for token in tokens}
    bodies = collections.Counter(body for _, body, _ in webhooks)
    judged("what is sent again has a token of its own and the same body", len(ids) == 50 and len(bodies) == 25)


def judge_simulated_bird(program):
    webhooks = sent(program, "bird", secret=WHSEC, refused=25)
    good = not any(refuses(lambda: Webhook(WHSEC).verify(body, dict(headers))) for headers, body, _ in webhooks)
    judged(f"standardwebhooks takes {len(webhooks)} webhooks of simulate bird", good and len(webhooks) == 50)
    worse = all(refuses(lambda: Webhook(WHSEC).verify(body + b" ", dict(headers))) for headers, body, _ in webhooks)
    judged("standardwebhooks refuses them with another body", worse)
    ids = collections.Counter(headers["webhook-id"] for headers, _, _ in webhooks)
    judged("what is sent again has the same id", len(ids) == 25)


def judge_simulated_by_hand(program):
    """No SDK verifies these: what the documentation describes, with Python's own HMAC."""
    generic = sent(program, "generic")
    expected = [hmac.new(KEY.encode(), body, hashlib.sha512).hexdigest() for _, body, _ in generic]
    good = expected == [headers["x-webhook-hmac"] for headers, _, _ in generic]
    judged(f"{len(generic)} webhooks of simulate generic are signed as WAHA's are", good and len(generic) == 25)
    channels, good = sent(program, "bird-channels"), True
    for headers, body, url in channels:
        parts = [headers["messagebird-request-timestamp"].encode(), url.encode(), hashlib.sha256(body).digest()]
        mac = hmac.new(KEY.encode(), b"\n".join(parts), hashlib.sha256).digest()
        good = good and headers["messagebird-signature"] == base64.b64encode(mac).decode()
    judged(f"{len(channels)} webhooks of simulate bird-channels are signed as documented", good and len(channels) == 25)


# What the gateway takes. No broker is there: a webhook that was verified and has no media is answered with success.


class Gateway:
    def __init__(self, program):
        self.port, self.home = free_port(), tempfile.TemporaryDirectory()
        self.base = f"http://127.0.0.1:{self.port}"
        accounts = {
            "meta": {"provider": "whatsapp-cloud", "app_secret": KEY},
            "sms": {"provider": "twilio", "app_secret": KEY, "account": "AC1"},
            "mb": {"provider": "messagebird", "app_secret": KEY},
            "bird": {"provider": "bird", "app_secret": WHSEC},
        }
        settings = {
            "BROKER_URL": f"amqp://guest:guest@127.0.0.1:{free_port()}/%2f", "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_PUBLIC_URL": self.base, "STORE_URL": f"file://{self.home.name}",
        }
        for name, keys in accounts.items():
            for key, value in ({"tenant": "acme"} | keys).items():
                settings[f"CHANNELS__{name.upper()}__{key.upper()}"] = value
        env = os.environ | {f"MEDIAMILL_{name}": value for name, value in settings.items()}
        self.process = subprocess.Popen([program, "gateway"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the gateway does not listen")

    def url(self, account, query=""):
        return f"{self.base}/v1/channels/{account}{query}"

    def post(self, account, body, headers, query=""):
        request = urllib.request.Request(self.url(account, query), data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def end(self):
        self.process.terminate()
        self.process.wait()


def judge_gateway(program):
    gateway = Gateway(program)
    try:
        judge_twilio(gateway)
        judge_messagebird(gateway)
        judge_standard_webhooks(gateway)
    finally:
        gateway.end()


def judge_twilio(gateway):
    validator = RequestValidator(KEY)
    texts = ["", "plain", "caf\u00e9 \U0001f600", "it's & = + % \u0000 a\tb", " both ends ", "a=b&c=d"]
    for query in ["", "?k=1", "?b=2&a=%20x"]:
        for text in texts:
            form = {"MessageSid": "SM1", "AccountSid": "AC1", "Body": text, "Blank": "", "Zulu": "z", "alpha": "a"}
            body = urllib.parse.urlencode(form).encode()
            headers = {
                "content-type": "application/x-www-form-urlencoded",
                "x-twilio-signature": validator.compute_signature(gateway.url("sms", query), form),
            }
            status = gateway.post("sms", body, headers, query)
            worse = gateway.post("sms", body + b"&more=1", headers, query)
            judged(f"twilio's signature over {text!r} with {query or 'no query'}", (status, worse) == (200, 403))


def judge_messagebird(gateway):
    for query in ["", "?b=2&a=1"]:
        for algorithm in request_validator.RequestValidator.ALLOWED_ALGOS:
            body = json.dumps({"type": "message.updated", "message": {"id": "m"}}).encode()
            now = int(time.time())
            claims = {
                "iss": "MessageBird", "nbf": now, "exp": now + 60, "jti": "1",
                "url_hash": hashlib.sha256(gateway.url("mb", query).encode()).hexdigest(),
                "payload_hash": hashlib.sha256(body).hexdigest(),
            }
            token = jwt.encode(claims, KEY, algorithm=algorithm)
            # The SDK's own validator has to agree that this is what it takes.
            request_validator.RequestValidator(KEY).validate_signature(token, gateway.url("mb", query), body)
            headers = {"messagebird-signature-jwt": token}
            status = gateway.post("mb", body, headers, query)
            worse = gateway.post("mb", body + b" ", headers, query)
            judged(f"messagebird's JWT with {algorithm} and {query or 'no query'}", (status, worse) == (200, 403))
    none = jwt.encode(claims, None, algorithm="none")
    judged("a JWT without a signature is refused", gateway.post("mb", body, {"messagebird-signature-jwt": none}, query) == 403)
    sent = str(int(time.time()))
    parts = [sent.encode(), b"a=1&b=2", hashlib.sha256(body).digest()]
    signature = base64.b64encode(hmac.new(KEY.encode(), b"\n".join(parts), hashlib.sha256).digest()).decode()
    # The SDK has no call that signs, and says here that this is what it takes.
    verified = signed_request.SignedRequest(signature, sent, body.decode(), {"b": "2", "a": "1"}).verify(KEY)
    headers = {"messagebird-signature": signature, "messagebird-request-timestamp": sent}
    judged("messagebird's older signature", verified and gateway.post("mb", body, headers, "?b=2&a=1") == 200)


def judge_standard_webhooks(gateway):
    body = json.dumps({"type": "whatsapp.status", "data": {}})
    now = datetime.datetime.now(datetime.timezone.utc)
    signature = Webhook(WHSEC).sign("msg_1", now, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    Webhook(WHSEC).verify(body, headers)
    status = gateway.post("bird", body.encode(), headers)
    worse = gateway.post("bird", body.encode(), headers | {"webhook-id": "msg_2"})
    judged("standardwebhooks' signature", (status, worse) == (200, 403))


def main():
    program = os.path.abspath(sys.argv[1])
    judge_simulate(program)
    judge_gateway(program)
    print(f"{len(FAILED)} judged wrong")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
