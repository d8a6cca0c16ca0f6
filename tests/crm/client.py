"""A fake in this process, and the plainest client of it: for the checks of the fakes themselves."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request

from fakes import fake
from serve import Server

FAILED = []


def judged(name, holds):
    """Prints and keeps one judgement."""
    print(f"{'ok  ' if holds else 'FAIL'} {name}", flush=True)
    if not holds:
        FAILED.append(name)


def concluded():
    """The last line, and the exit code."""
    print(f"\n{len(FAILED)} judged wrong", flush=True)
    return 1 if FAILED else 0


class Got:
    """An answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode(errors="replace")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Client:
    """Starts the fake; calls it with the headers given here."""

    def __init__(self, name, **headers):
        self.server = Server(fake(name))
        self.fake = self.server.fake
        self.url = self.server.url
        self.headers = headers
        self.opener = urllib.request.build_opener(NoRedirect)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def call(self, method, path, body=None, headers=None, form=None, parts=None):
        """One request. `body` becomes JSON, or is sent as it is where it is bytes."""
        sent = {**self.headers, **(headers or {})}
        if form is not None:
            body, sent["Content-Type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif parts is not None:
            body, sent["Content-Type"] = multipart(parts)
        elif body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, body, sent, method=method)
        try:
            with self.opener.open(request, timeout=30) as answer:
                return Got(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Got(error.code, error.headers, error.read())

    def act(self, act, **what):
        return self.call("POST", "/__fake/act", {"act": act, **what}).json()

    def faults(self, *rules):
        self.call("PUT", "/__fake/faults", list(rules))

    def state(self):
        return self.call("GET", "/__fake/state").json()

    def lost(self, *args, **kwargs):
        """Whether the call ends without an answer."""
        try:
            self.call(*args, **kwargs)
        except OSError:
            return True
        return False


def multipart(parts):
    """[(name, file name or none, type or none, bytes)] as a body, and its type."""
    line, body = "----mediamill-7f3a", b""
    for name, filename, kind, data in parts:
        head = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += f"--{line}\r\n{head}\r\n".encode() + (f"Content-Type: {kind}\r\n".encode() if kind else b"") + b"\r\n" + data + b"\r\n"
    return body + f"--{line}--\r\n".encode(), f"multipart/form-data; boundary={line}"
