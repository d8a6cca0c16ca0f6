"""The server of a fake: HTTP/1.1, the fault plan, the list of calls, and the control endpoint below /__fake/.

    GET    /__fake/state     the CRM's records, as JSON
    GET    /__fake/calls     [{"method", "path", "status", "fault", "units"}], in the order of their ends
    DELETE /__fake/calls     forgets them
    PUT    /__fake/faults    another fault plan (see faults.py)
    GET    /__fake/held      {"held": number of requests that wait}
    POST   /__fake/release   those go on
    POST   /__fake/act       {"act": name, …}: what a person or another program does in the CRM; `advance` moves the clock
"""

import http.server
import json
import select
import socket
import struct
import threading
import time

from faults import Plan
from message import Answer, Refused, Request

MAX_BODY = 64 << 20


class Clock:
    """Seconds since 1970, which can be moved on."""

    def __init__(self):
        self.moved = 0.0

    def now(self):
        return time.time() + self.moved


class Server(http.server.ThreadingHTTPServer):
    """One fake CRM behind a port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake, port=0, host="127.0.0.1"):
        super().__init__((host, port), Handler)
        self.fake = fake
        self.plan = Plan()
        self.calls = []
        self.lock = threading.Lock()
        self.url = f"http://{host}:{self.server_address[1]}"
        fake.url = self.url

    def handle_error(self, request, client_address):
        """A client that goes away is no error here."""

    def control(self, request):
        """What is asked of the fake itself."""
        what = (request.method, request.segments[1])
        if what == ("GET", "state"):
            return Answer(200, self.fake.state())
        if what == ("GET", "calls"):
            return Answer(200, self.calls)
        if what == ("DELETE", "calls"):
            self.calls.clear()
            return Answer(200, {})
        if what == ("PUT", "faults"):
            self.plan.replace(request.json())
            return Answer(200, {})
        if what == ("GET", "held"):
            return Answer(200, {"held": self.plan.held})
        if what == ("POST", "release"):
            self.plan.release()
            return Answer(200, {})
        if what == ("POST", "act"):
            return Answer(200, self.act(request.json()))
        return Answer(404, {"unknown": request.path})

    def act(self, what):
        """One act from outside the API."""
        name = what.pop("act")
        if name == "advance":
            self.fake.clock.moved += what["seconds"]
            return {}
        return getattr(self.fake, "act_" + name)(**what) or {}

    def answer(self, request, rule):
        """What the CRM says, under the fault of this rule."""
        fault = rule.fault if rule else None
        if fault == "status":
            return Answer(rule.status, rule.body, rule.headers)
        if fault in ("quota", "lock"):
            return getattr(self.fake, fault)(request)
        if fault in ("expire", "revoke", "duplicate"):
            getattr(self.fake, fault)(request)
        try:
            return self.fake.handle(request)
        except Refused as refused:
            return refused.answer


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def setup(self):
        super().setup()
        # Head and body of an answer are two writes: without this the second waits for the first's acknowledgement.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        """Says nothing."""

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BODY:
            raise ValueError("too large for a fake")
        return self.rfile.read(length)

    def work(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.body())
        if request.segments[0] == "__fake":
            return self.send(self.server.control(request))
        with self.server.lock:
            rule = self.server.plan.next(request)
        fault = rule.fault if rule else None
        if fault == "delay":
            time.sleep(rule.seconds)
        if fault == "hold-before":
            self.server.plan.hold()
            if self.client_is_gone():
                # Who asked has died: the request never arrived.
                self.note(request, 0, fault)
                return self.drop()
        if fault == "drop-before":
            self.note(request, 0, fault)
            return self.drop()
        with self.server.lock:
            answer = self.server.answer(request, rule)
            self.note(request, answer.status, fault)
        if fault == "drop-after":
            return self.drop()
        if fault == "hold-after":
            self.server.plan.hold()
        return self.send(answer, rule.seconds if fault == "slow-body" else 0)

    def note(self, request, status, fault):
        units = self.server.fake.units(request)
        self.server.calls.append(
            {"method": request.method, "path": request.path, "status": status, "fault": fault, "units": units}
        )

    def send(self, answer, seconds=0):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if not seconds:
            self.wfile.write(answer.body)
            return
        for byte in answer.body:
            self.wfile.write(bytes([byte]))
            time.sleep(seconds / max(len(answer.body), 1))

    def client_is_gone(self):
        # Readable without a byte to read is the end; a socket with a timeout would wait for the byte.
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def drop(self):
        """Resets the connection, so that the client sees an error instead of an empty answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = work


def announce(server):
    """Tells whoever started it where it listens: one line of JSON."""
    print(json.dumps({"url": server.url}), flush=True)
