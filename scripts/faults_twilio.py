"""Twilio for `webhook-faults.py`: it sends each webhook once, and lists its messages to whoever asks."""

import base64
import collections
import hashlib
import hmac
import http.client
import http.server
import json
import subprocess
import threading
import time
import urllib.parse

SECRET, TOKEN, ACCOUNT = "faults-secret", "faults-token", "AC" + "0" * 31 + "1"
PATH = "/v1/channels/support"
API = f"/2010-04-01/Accounts/{ACCOUNT}"
# Messages of a page: fewer than Twilio's 1000, so that there are several.
PAGE = 300


def sid(kind, n):
    return f"{kind}{n:032x}"


def media_id(n):
    name = "\0".join([ACCOUNT, sid("MM", n), sid("ME", n)])
    return f"twilio-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def form_of(n, api_port):
    return {
        "MessageSid": sid("MM", n), "AccountSid": ACCOUNT, "From": "whatsapp:+15550000002", "To": "whatsapp:+15550000001",
        "Body": "", "NumMedia": "1", "SmsStatus": "received", "MediaContentType0": "text/vcard", "ProfileName": "Zo\u00eb",
        "MediaUrl0": f"http://127.0.0.1:{api_port}{API}/Messages/{sid('MM', n)}/Media/{sid('ME', n)}",
    }


def signed(url, form):
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Api(http.server.ThreadingHTTPServer):
    """The list of messages, and of each one's files."""

    daemon_threads, request_queue_size = True, 256

    def __init__(self, count):
        super().__init__(("127.0.0.1", 0), Answer)
        self.count, self.asked = count, collections.Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        expected = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if self.headers.get("authorization") != expected:
            return self.say(401, {"code": 20003})
        path = urllib.parse.urlsplit(self.path)
        if path.path == f"{API}/Messages.json":
            return self.messages(int(dict(urllib.parse.parse_qsl(path.query)).get("Page", "0")))
        n = int(path.path.removeprefix(f"{API}/Messages/MM").removesuffix("/Media.json"), 16)
        self.server.asked["files"] += 1
        uri = f"{API}/Messages/{sid('MM', n)}/Media/{sid('ME', n)}.json"
        self.say(200, {"media_list": [{"sid": sid("ME", n), "content_type": "text/vcard", "uri": uri}]})

    def messages(self, page):
        self.server.asked["pages"] += 1
        found = range(self.server.count)[page * PAGE:(page + 1) * PAGE]
        listed = [
            {"sid": sid("MM", n), "direction": "inbound", "num_media": "1", "from": "whatsapp:+15550000002",
             "to": "whatsapp:+15550000001", "body": ""}
            for n in found
        ]
        is_last = (page + 1) * PAGE >= self.server.count
        self.say(200, {"messages": listed, "next_page_uri": None if is_last else f"{API}/Messages.json?Page={page + 1}"})


class Sender:
    """Each webhook once: what is not answered with 200 is lost to webhooks."""

    def __init__(self, ports, count, api_port, at_once=8):
        self.ports, self.count, self.api_port, self.statuses = ports, count, api_port, collections.Counter()
        self.next, self.lock = iter(range(count)), threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(at_once)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def run(self):
        while True:
            with self.lock:
                n = next(self.next, None)
            if n is None:
                return
            status = self.post(self.ports[n % len(self.ports)], form_of(n, self.api_port))
            with self.lock:
                self.statuses[status] += 1
            # Where nobody listens, all of them would be over in a moment.
            time.sleep(0.02)

    def post(self, port, form):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        signature = signed(f"http://127.0.0.1:{port}{PATH}", form)
        headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
        try:
            connection.request("POST", PATH, urllib.parse.urlencode(form), headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def until(self, part, timeout=600):
        deadline = time.monotonic() + timeout
        while sum(self.statuses.values()) < self.count * part:
            if time.monotonic() > deadline:
                raise SystemExit(f"{sum(self.statuses.values())} of {self.count} webhooks were sent in {timeout} s")
            time.sleep(0.02)


def settings(api_port, gateway_port):
    return {
        "CHANNELS__SUPPORT__PROVIDER": "twilio", "CHANNELS__SUPPORT__ACCOUNT": ACCOUNT, "CHANNELS__SUPPORT__TOKEN": TOKEN,
        "CHANNELS__SUPPORT__APP_SECRET": SECRET, "CHANNELS__SUPPORT__API_BASE": f"http://127.0.0.1:{api_port}",
        "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{gateway_port}",
        # Only what a person asks for below: that the gateway does so by itself is another test.
        "GATEWAY_RECONCILE_S": "0",
    }


def reconciled(world):
    """The gateway is killed five times; then everything is compared with the list."""
    world.sender.start()
    for n in range(5):
        world.sender.until(0.1 + 0.18 * n)
        world.kill()
    world.sender.until(1)
    refused = world.args.webhooks - world.sender.statuses[200]
    done = subprocess.run([world.args.program, "channels", "reconcile"], env=world.env, check=True, capture_output=True, text=True)
    if not refused:
        raise SystemExit("every webhook was taken: nothing was left for the list")
    if f"{world.args.webhooks} events published" not in done.stdout:
        raise SystemExit(f"reconcile says {done.stdout!r}")
    deadline = time.monotonic() + 120
    while world.ledger.named < world.args.webhooks * 2 - refused and time.monotonic() < deadline:
        time.sleep(0.2)
    differing = [kinds for kinds in world.ledger.contents.values() if len(kinds) > 1]
    if differing:
        raise SystemExit(f"{len(differing)} events from the list differ from the webhook's in more than the profile's name")
    world.note = f"{refused} webhooks not taken; all others came again from the list, each under its id and equal but for the profile's name"
