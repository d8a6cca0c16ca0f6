#!/usr/bin/env python3
"""Webhooks under one fault after another, on this machine: is any of them lost, does any file come twice?

For each fault: a RabbitMQ node, gateways, where files are fetched also a worker, and a provider that sends so many signed webhooks
(of the WhatsApp Cloud API), one voice note or contact each. It repeats what is not answered with 200, as Meta does, for as long as
that takes; Twilio does not, and what it lists is compared (`faults_twilio.py`). Then the ledger: the media of each webhook is in exactly one *media received* event (by its id), or, where files are
fetched, in exactly one outcome; the node has nothing left to do. A line of Markdown for each fault. Exit code 3 where a line does
not balance: then its figures mean nothing.
"""

import argparse
import collections
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "journey"))

import faults_twilio
import node
import watch

SECRET, TOKEN, ACCOUNT = b"faults-secret", "faults-token", "800000000000001"
FILE = (HERE.parent / "fixtures" / "contact.vcf").read_bytes()
PATH = "/v1/channels/support"


def body_of(n):
    message = {
        "from": "15550000002", "id": f"wamid.{n}", "timestamp": str(int(time.time())), "type": "document",
        "document": {"id": f"7{n:015}", "mime_type": "text/vcard", "filename": "contact.vcf",
                     "sha256": __import__("base64").b64encode(hashlib.sha256(FILE).digest()).decode()},
    }
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": ACCOUNT}, "messages": [message]}
    entry = {"id": "9", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def media_id(n):
    name = "\0".join([ACCOUNT, f"wamid.{n}", "0"])
    return f"whatsapp-cloud-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def signed(body, secret=SECRET):
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def post(port, body, signature, header="x-hub-signature-256", timeout=15):
    """The status; 0 where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", PATH, body, {header: signature, "content-type": "application/json"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Sender:
    """The provider: repeats what is not answered with 200, at another gateway each time."""

    def __init__(self, ports, count, header, at_once=16):
        self.header = header
        self.ports, self.count, self.statuses = ports, count, collections.Counter()
        self.work, self.done, self.lock = queue.Queue(), 0, threading.Lock()
        self.bodies = {n: body_of(n) for n in range(count)}
        for n in range(count):
            self.work.put((n, 0))
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(at_once)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def run(self):
        while self.done < self.count:
            try:
                n, tries = self.work.get(timeout=0.2)
            except queue.Empty:
                continue
            status = post(self.ports[(n + tries) % len(self.ports)], self.bodies[n], signed(self.bodies[n]), self.header)
            with self.lock:
                self.statuses[status] += 1
                if status == 200:
                    self.done += 1
                    continue
            time.sleep(min(0.2 * (tries + 1), 3))
            self.work.put((n, tries + 1))

    def until(self, part, timeout=600):
        deadline = time.monotonic() + timeout
        while self.done < self.count * part:
            if time.monotonic() > deadline:
                node.void(f"{self.done} of {self.count} webhooks were taken in {timeout} s: {dict(self.statuses)}")
            time.sleep(0.02)


class Api(http.server.ThreadingHTTPServer):
    """The provider's media API, and a target that webhooks are passed on to. `mode` is what goes wrong."""

    daemon_threads, request_queue_size = True, 256

    def __init__(self, mode):
        super().__init__(("127.0.0.1", 0), Answer)
        self.mode, self.seen, self.calls = mode, collections.Counter(), collections.Counter()
        self.lock, self.began, self.passed, self.is_down = threading.Lock(), time.monotonic(), collections.Counter(), True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def strikes(self, kind, media, times):
        with self.lock:
            self.seen[kind, media] += 1
            return self.seen[kind, media] <= times


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        for name, value in [("content-type", kind), ("content-length", str(len(body))), ("connection", "close"), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, **more):
        self.say(status, json.dumps({"error": {"message": "x", "code": code, **more}}).encode())

    def throttled(self):
        self.say(429, json.dumps({"error": {"message": "x", "code": 80007}}).encode(), headers=[("retry-after", "1")])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.is_down:
            return self.say(503, b"")
        with self.server.lock:
            self.server.passed[hashlib.sha256(body).hexdigest()] += 1
        self.say(200, b"")

    def do_GET(self):
        server, mode = self.server, self.server.mode
        media = self.path.rsplit("/", 1)[1]
        is_file = self.path.startswith("/file/")
        with server.lock:
            server.calls["file" if is_file else "id"] += 1
        if self.headers.get("authorization") != f"Bearer {TOKEN}" and self.headers.get("d360-api-key") != TOKEN:
            return self.error(401, 190)
        if mode == "revoked" and time.monotonic() - server.began < 90:
            return self.error(401, 190)
        if mode == "errors" and server.strikes(is_file, media, 1):
            return self.throttled() if int(media) % 50 == 0 and not is_file else self.say(500 + int(media) % 4, b"")
        if mode == "fetching" and is_file and server.strikes("file", media, 2):
            return self.say(503, b"")
        if mode == "expired" and is_file and server.strikes("file", media, 1):
            return self.say(404, b"")
        if mode == "budget" and int(media) % 100 == 0 and server.strikes("id", media, 1):
            return self.error(400, 1)
        if is_file:
            return self.say(200, FILE, "text/vcard")
        url = f"http://127.0.0.1:{server.port}/file/{media}"
        self.say(200, json.dumps({"url": url, "mime_type": "text/vcard", "id": media}).encode())


class Received(watch.Listener):
    """Every event of one kind of key, by media and id."""

    def __init__(self, rabbit, keys):
        super().__init__(rabbit, keys)
        self.found, self.kinds = collections.defaultdict(set), collections.Counter()
        # How many came, also again; and what each event says but for the customer's name, which a provider's list does not have.
        self.named, self.contents = 0, collections.defaultdict(set)

    def take(self, event):
        data = event["data"]
        if event["id"] not in self.found[data["media_id"]]:
            self.kinds[event["type"]] += 1
        self.found[data["media_id"]].add(event["id"])
        message = {name: value for name, value in (data.get("message") or {}).items() if name != "contact_name"}
        self.contents[event["id"]].add(json.dumps(data | {"message": message}, sort_keys=True))
        self.named += 1


class World:
    """Broker, gateways, worker, provider: of one fault."""

    def __init__(self, args, home, gateways=1, mode=None, settings=None, is_twilio=False):
        self.args, self.home, self.mode, self.is_twilio = args, home, mode, is_twilio
        self.rabbit = node.Rabbit(home / "rabbit")
        self.rabbit.connect().close()
        self.api = faults_twilio.Api(args.webhooks) if is_twilio else Api(mode)
        self.ports = [node.free_port() for _ in range(gateways)]
        self.settings = (settings or {}) | (faults_twilio.settings(self.api.port, self.ports[0]) if is_twilio else {})
        self.log = open(home / "log", "ab")
        self.env = self.environment()
        subprocess.run([args.program, "topology", "--declare"], env=self.env | {"MEDIAMILL_GATEWAY_LISTEN": ""}, check=True,
                       stdout=subprocess.DEVNULL)
        keys = ["media.normalized.#", "media.rejected", "media.failed"] if mode else ["media.received.#"]
        self.ledger = Received(self.rabbit, keys)
        self.ledger.start()
        self.ledger.bound.wait(60) or node.void("no queue for the ledger")
        self.gateways = [self.gateway(n) for n in range(gateways)]
        self.worker = subprocess.Popen([args.program, "worker"], env=self.env, stdout=self.log, stderr=self.log) if mode else None
        for port in self.ports:
            self.answers(port)
        header = "x-360dialog-signature" if mode == "budget" else "x-hub-signature-256"
        if is_twilio:
            self.sender = faults_twilio.Sender(self.ports, args.webhooks, self.api.port)
        else:
            self.sender = Sender(self.ports, args.webhooks, header)

    def environment(self):
        provider = "360dialog" if self.mode == "budget" else "whatsapp-cloud"
        settings = {
            "BROKER_URL": self.rabbit.url, "BROKER_RETRY_DELAYS_S": "1,2,3,5,10", "STORE_URL": f"file://{self.home}/store",
            "WORKER_SCRATCH_DIR": self.home / "scratch", "WORKER_SCRATCH_MIN_FREE_BYTES": "0",
            "CHANNELS__SUPPORT__PROVIDER": provider, "CHANNELS__SUPPORT__TENANT": "acme",
            "CHANNELS__SUPPORT__ACCOUNT": ACCOUNT, "CHANNELS__SUPPORT__TOKEN": TOKEN,
            "CHANNELS__SUPPORT__APP_SECRET": SECRET.decode(), "CHANNELS__SUPPORT__VERIFY_TOKEN": "verify",
            "CHANNELS__SUPPORT__API_BASE": f"http://127.0.0.1:{self.api.port}", "LOG_FILTER": "warn", **self.settings,
        }
        for name in ("store", "scratch"):
            (self.home / name).mkdir(exist_ok=True)
        return os.environ | {f"MEDIAMILL_{name}": str(value) for name, value in settings.items()}

    def gateway(self, n):
        env = self.env | {"MEDIAMILL_GATEWAY_LISTEN": f"127.0.0.1:{self.ports[n]}"}
        return subprocess.Popen([self.args.program, "gateway"], env=env, stdout=self.log, stderr=self.log)

    def answers(self, port):
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        node.void("the gateway does not listen")

    def kill(self, n=0, how=signal.SIGKILL):
        self.gateways[n].send_signal(how)
        self.gateways[n].wait()
        self.gateways[n] = self.gateway(n)

    def settle(self):
        """Waits until the ledger has all, and gives what would come twice some time."""
        self.sender.until(1)
        deadline = time.monotonic() + 900
        while len(self.ledger.found) < self.args.webhooks and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(3)

    def end(self):
        self.ledger.over = True
        self.ledger.join(10)
        for process in [*self.gateways, *([self.worker] if self.worker else [])]:
            process.kill()
            process.wait()
        self.api.shutdown()
        self.rabbit.end()


def kill_before_confirm(world):
    world.sender.start()
    for part in (0.2, 0.5, 0.8):
        world.sender.until(part)
        world.rabbit.freeze(True)
        time.sleep(1)
        world.kill()
        world.rabbit.freeze(False)


def kill_under_load(world):
    world.sender.start()
    for n in range(10):
        world.sender.until(0.05 + 0.09 * n)
        world.kill()


def rolling_restart(world):
    world.sender.start()
    for n in range(3):
        world.sender.until(0.2 + 0.2 * n)
        world.kill(n, signal.SIGTERM)


def broker_restart(world):
    world.sender.start()
    world.sender.until(0.4)
    world.rabbit.restart()


def broker_blocked(world):
    world.sender.start()
    world.sender.until(0.3)
    world.rabbit.tool("set_vm_memory_high_watermark", "0.000001")
    time.sleep(10)
    world.rabbit.tool("set_vm_memory_high_watermark", "0.6")


def slow_senders(world):
    slow = []
    for n in range(300):
        connection = socket.create_connection(("127.0.0.1", world.ports[0]))
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: sha256=00\r\ncontent-length: 9000\r\n\r\nx".encode())
        slow.append(connection)
    world.sender.start()
    world.sender.until(1)
    for connection in slow:
        connection.close()


def forged(world):
    refused = collections.Counter()

    def flood():
        for n in range(2500):
            body = body_of(10_000_000 + n)
            refused[post(world.ports[0], body, signed(body, b"another") if n % 2 else "")] += 1

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    world.sender.start()
    for thread in threads:
        thread.join()
    world.note = f"{refused[401] + refused[403]} of 10,000 forged ones refused, {refused[503]} told to come again"
    if sum(refused.values()) != refused[401] + refused[403] + refused[503]:
        node.void(f"forged webhooks were answered with {dict(refused)}")


def target_down(world):
    world.sender.start()
    world.sender.until(1)
    world.api.is_down = False
    deadline = time.monotonic() + 300
    while len(world.api.passed) < world.args.webhooks and time.monotonic() < deadline:
        time.sleep(0.2)
    if len(world.api.passed) != world.args.webhooks:
        node.void(f"the target has {len(world.api.passed)} of {world.args.webhooks} webhooks")
    twice = sum(count - 1 for count in world.api.passed.values())
    world.note = f"all passed on once the target was up, {twice} of them twice"


def plain(world):
    world.sender.start()


FAULTS = {
    "gateway killed before the confirm": (kill_before_confirm, {}),
    "gateway killed ten times under load": (kill_under_load, {}),
    "three gateways restarted one by one": (rolling_restart, {"gateways": 3}),
    "broker restarted": (broker_restart, {}),
    "broker blocked for 10 s": (broker_blocked, {}),
    "300 slow senders": (slow_senders, {"settings": {"GATEWAY_BODY_TIMEOUT_S": "3"}}),
    "10,000 forged among them": (forged, {}),
    "target of pass-through down": (target_down, {"is_forwarding": True}),
    "provider answers 429 and 5xx": (plain, {"mode": "errors"}),
    "503 twice while fetching": (plain, {"mode": "fetching"}),
    "expired URLs": (plain, {"mode": "expired"}),
    "token revoked for 90 s": (plain, {"mode": "revoked"}),
    "error budget exhausted": (plain, {"mode": "budget", "settings": {"CHANNELS__SUPPORT__ERROR_PAUSE_S": "10", "CHANNELS__SUPPORT__ERROR_WINDOW_S": "10"}}),
    "Twilio, gateway killed five times, reconciled": (faults_twilio.reconciled, {"is_twilio": True}),
}


def run(args, name, home):
    fault, options = FAULTS[name]
    options = dict(options)
    settings = dict(options.pop("settings", {}))
    if options.pop("is_forwarding", False):
        settings |= {"GATEWAY_FORWARD_ALLOW_PLAIN": "true", "GATEWAY_FORWARD_ALLOW_HOSTS": "127.0.0.1"}
    world = World(args, home, settings=settings, **options)
    world.note = ""
    try:
        if "GATEWAY_FORWARD_ALLOW_PLAIN" in settings:
            world.env["MEDIAMILL_CHANNELS__SUPPORT__FORWARD"] = f"http://127.0.0.1:{world.api.port}/inbox"
            world.kill()
            world.answers(world.ports[0])
        began = time.monotonic()
        fault(world)
        world.settle()
        took = time.monotonic() - began - 3
        expected = {(faults_twilio.media_id if world.is_twilio else media_id)(n) for n in range(args.webhooks)}
        if world.mode == "budget":
            expected = {media.replace("whatsapp-cloud-", "360dialog-") for media in expected}
        found = world.ledger.found
        lost, foreign = len(expected - found.keys()), len(found.keys() - expected)
        twice = sum(len(ids) > 1 for media, ids in found.items())
        failed = world.ledger.kinds["mediamill.media.failed.v1"]
        again = sum(count for status, count in world.sender.statuses.items() if status != 200)
        print(f"| {name} | {args.webhooks} | {again} | {lost} | {twice} | {failed} | {took:.0f} | {world.note} |", flush=True)
        if foreign:
            print(f"{foreign} media are of no webhook", file=sys.stderr)
        return not (lost or twice or failed or foreign)
    finally:
        world.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the mediamill to try")
    parser.add_argument("--webhooks", type=int, default=2000)
    parser.add_argument("--only", help="a part of the names of the faults")
    args = parser.parse_args()
    random.seed(1)
    print("| fault | webhooks | answers that were no success, and repeated | lost | twice | failed | seconds | |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    node.each(FAULTS, args.only, lambda name, home: run(args, name, home))


if __name__ == "__main__":
    sys.exit(main())
