"""Requests and answers of the fakes, and a strict reader of multipart/form-data."""

import base64
import json
import re
import urllib.parse


class Refused(Exception):
    """An answer instead of what was asked for; nothing more is done."""

    def __init__(self, answer):
        super().__init__(answer.status)
        self.answer = answer


class Answer:
    """A status, a body (bytes, or what becomes JSON; none is an empty body) and headers."""

    def __init__(self, status, body=None, headers=None, content_type="application/json;charset=utf-8"):
        self.status = status
        self.headers = dict(headers or {})
        if body is None:
            self.body = b""
        elif isinstance(body, bytes):
            self.body = body
            self.headers.setdefault("Content-Type", content_type)
        else:
            self.body = json.dumps(body).encode()
            self.headers.setdefault("Content-Type", content_type)


class Part:
    """One part of a multipart body."""

    def __init__(self, name, filename, content_type, body):
        self.name, self.filename, self.content_type, self.body = name, filename, content_type, body


class Request:
    """What came in. Names of headers are in lower case."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        path, _, query = target.partition("?")
        self.raw_path = path
        self.path = urllib.parse.unquote(path)
        # Of the still encoded path, so that a slash in a value stays in it.
        self.segments = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        self.query = {}
        for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
            # A list comes as one value with commas, or as several of the same name.
            self.query[name] = f"{self.query[name]},{value}" if name in self.query else value
        self.headers = headers
        self.body = body

    def json(self):
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.body or b"null")

    def form(self):
        """The body as a form."""
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def media_type(self):
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def bearer(self, scheme="Bearer"):
        """The token after this scheme; none where another scheme is used."""
        word, _, token = self.headers.get("authorization", "").partition(" ")
        return token if word == scheme and token else None

    def basic(self):
        """Name and password; none where another scheme is used."""
        token = self.bearer("Basic")
        if token is None:
            return None
        try:
            name, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
        except ValueError:
            return None
        return (name, password) if colon else None

    def parts(self):
        """The parts of a multipart/form-data body; ValueError where the body is not exactly that (RFC 7578, RFC 2046 5.1)."""
        if self.media_type() != "multipart/form-data":
            raise ValueError("not multipart/form-data")
        boundary = re.search(r'boundary="?([^";]+)"?', self.headers["content-type"])
        if not boundary:
            raise ValueError("no boundary")
        line = b"--" + boundary.group(1).encode()
        if not self.body.startswith(line + b"\r\n") or not self.body.rstrip(b"\r\n").endswith(b"\r\n" + line + b"--"):
            raise ValueError("the body does not begin or end with the boundary of the header")
        inner = self.body.rstrip(b"\r\n")[len(line) + 2 : -len(line) - 4]
        return [read_part(piece) for piece in inner.split(b"\r\n" + line + b"\r\n")]


def read_part(piece):
    """Headers and body of one part."""
    head, blank, body = piece.partition(b"\r\n\r\n")
    if not blank:
        raise ValueError("a part without an empty line")
    headers = {}
    for line in head.decode().split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a part with a header that is none")
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    if not disposition.startswith("form-data"):
        raise ValueError("a part that is not form-data")
    name = re.search(r'[; ]name="([^"]*)"', disposition)
    if not name:
        raise ValueError("a part without a name")
    return Part(name.group(1), file_name(disposition), headers.get("content-type"), body)


def file_name(disposition):
    """`filename`, or RFC 5987's `filename*`, which goes first."""
    extended = re.search(r"filename\*=(?i:utf-8)''([^;]+)", disposition)
    if extended:
        return urllib.parse.unquote(extended.group(1))
    plain = re.search(r'[; ]filename="((?:[^"\\]|\\.)*)"', disposition)
    return urllib.parse.unquote(re.sub(r"\\(.)", r"\1", plain.group(1))) if plain else None
