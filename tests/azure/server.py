#!/usr/bin/env python3
"""A small server with the part of the Blob service's REST API that the tests need, in memory.

Usage: server.py PORT [--versions]. Signatures are checked by azure-storage-blob itself.
"""
import base64
import hashlib
import itertools
import re
import sys
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy
from azure.storage.blob._shared_access_signature import BlobSharedAccessSignature

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CODES = {
    "BlobNotFound": 404, "ContainerNotFound": 404, "BlobAlreadyExists": 409, "ContainerAlreadyExists": 409, "ConditionNotMet": 412,
    "Md5Mismatch": 400, "InvalidBlockList": 400, "InvalidRange": 416, "AuthenticationFailed": 403, "BlobArchived": 409,
    "InvalidQueryParameterValue": 400, "BlobBeingRehydrated": 409,
}
LOCK = threading.RLock()
COUNT = itertools.count(1)


class Refused(Exception):
    pass


class Container:
    def __init__(self):
        self.blobs, self.blocks, self.old = {}, {}, {}


CONTAINERS = {}
VERSIONS = "--versions" in sys.argv


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = unquote(url.path).lstrip("/").split("/", 2)
        try:
            if parts[0] == "make":
                # Of the tests, which have no client of their own to make one with.
                with LOCK:
                    CONTAINERS.setdefault(parts[1], Container())
                return self.answer(201, {}, b"")
            self.check_access(url)
            if parts[0] != ACCOUNT:
                raise Refused("AuthenticationFailed")
            with LOCK:
                if self.query.get("restype") == "container":
                    status, headers, body = self.container(parts[1])
                else:
                    held = CONTAINERS.get(parts[1])
                    if held is None:
                        raise Refused("ContainerNotFound")
                    status, headers, body = self.blob(held, parts[2])
        except Refused as refused:
            code = str(refused)
            text = f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>No.</Message></Error>'
            status, body = CODES[code], text.encode()
            headers = {"x-ms-error-code": code, "content-type": "application/xml"}
        self.answer(status, headers, body)

    def answer(self, status, headers, body):
        self.send_response_only(status)
        self.send_header("date", format_datetime(datetime.now(timezone.utc), usegmt=True))
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

    def check_access(self, url):
        told = self.headers.get("authorization", "")
        if told.startswith("SharedKey "):
            headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "authorization"}
            asked = SimpleNamespace(method=self.command, url="http://x" + self.path, headers=headers, query={})
            pairs = (pair.partition("=") for pair in url.query.split("&") if pair)
            # As the library has them: still encoded.
            asked.query = {name: value.replace("+", "%20") for name, _, value in pairs}
            policy = SharedKeyCredentialPolicy(ACCOUNT, KEY)
            policy.on_request(SimpleNamespace(http_request=asked, context=SimpleNamespace(transport=None)))
            if asked.headers["Authorization"] != told:
                raise Refused("AuthenticationFailed")
            return
        query = self.query
        if "sig" not in query or self.command not in ("GET", "HEAD") or query.get("sp") != "r" or query.get("sr") != "b":
            raise Refused("AuthenticationFailed")
        times = {name: datetime.strptime(query[name], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc) for name in ("st", "se")}
        _, container, key = unquote(url.path).lstrip("/").split("/", 2)
        maker = BlobSharedAccessSignature(ACCOUNT, account_key=KEY)
        maker.x_ms_version = query["sv"]
        made = maker.generate_blob(
            container, key, permission="r", start=times["st"], expiry=times["se"], protocol=query.get("spr"),
            content_disposition=query.get("rscd"), content_type=query.get("rsct"))
        if dict(parse_qsl(made))["sig"] != query["sig"] or not times["st"] <= datetime.now(timezone.utc) < times["se"]:
            raise Refused("AuthenticationFailed")

    def container(self, name):
        if self.command == "PUT":
            if name in CONTAINERS:
                raise Refused("ContainerAlreadyExists")
            CONTAINERS[name] = Container()
            return 201, {}, b""
        held = CONTAINERS.get(name)
        if held is None:
            raise Refused("ContainerNotFound")
        return self.list(held) if self.query.get("comp") == "list" else (200, {}, b"")

    def list(self, held):
        prefix, marker = self.query.get("prefix", ""), self.query.get("marker", "")
        most = int(self.query.get("maxresults", 5000))
        if not 1 <= most <= 5000:
            raise Refused("InvalidQueryParameterValue")
        entries = [(key, None, blob) for key, blob in held.blobs.items()]
        if "versions" in self.query.get("include", ""):
            entries += [(key, blob["version"], blob) for key, olds in held.old.items() for blob in olds]
        entries.sort(key=lambda entry: (entry[0].encode(), entry[1] is None, entry[1] or ""))
        entries = [entry for entry in entries if entry[0].startswith(prefix) and entry[0] > marker]
        items = ""
        for key, version, blob in entries[:most]:
            told = f"<VersionId>{blob['version']}</VersionId>" if VERSIONS else ""
            told += "<IsCurrentVersion>true</IsCurrentVersion>" if VERSIONS and version is None else ""
            items += (f"<Blob><Name>{escape(key)}</Name>{told}<Properties><Last-Modified>{blob['modified']}</Last-Modified>"
                      f"<Content-Length>{len(blob['body'])}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>")
        following = f"<NextMarker>{escape(entries[most - 1][0])}</NextMarker>" if len(entries) > most else "<NextMarker />"
        inner = f"<Prefix>{escape(prefix)}</Prefix><Blobs>{items}</Blobs>{following}"
        text = f'\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults>{inner}</EnumerationResults>'
        return 200, {"content-type": "application/xml"}, text.encode()

    def blob(self, held, key):
        kind = (self.command, self.query.get("comp"))
        if kind == ("PUT", None):
            self.check_md5()
            self.conditions(held, key)
            return self.store(held, key, self.body, self.md5(self.body), {"content-md5": self.md5(self.body)})
        if kind == ("PUT", "block"):
            self.check_md5()
            held.blocks.setdefault(key, {})[self.query["blockid"]] = self.body
            return 201, {"content-md5": self.md5(self.body)}, b""
        if kind == ("PUT", "blocklist"):
            self.conditions(held, key)
            known = {**held.blobs.get(key, {}).get("blocks", {}), **held.blocks.get(key, {})}
            ids = re.findall(r"<Latest>([^<]*)</Latest>", self.body.decode())
            if any(name not in known for name in ids):
                raise Refused("InvalidBlockList")
            made = self.store(held, key, b"".join(known[name] for name in ids), self.headers.get("x-ms-blob-content-md5"), {})
            held.blobs[key]["blocks"] = {name: known[name] for name in ids}
            return made
        if kind == ("PUT", "tier"):
            self.found(held, key)["archived"] = False
            return 202, {}, b""
        if self.command in ("GET", "HEAD"):
            return self.read(held, key)
        if self.command == "DELETE":
            return self.delete(held, key)
        raise Refused("InvalidQueryParameterValue")

    def store(self, held, key, body, md5, headers):
        names = ("content-type", "content-disposition", "cache-control")
        about = {name: self.headers[f"x-ms-blob-{name}"] for name in names if f"x-ms-blob-{name}" in self.headers}
        about.update({name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-ms-meta-")})
        self.keep(held, key)
        number = next(COUNT)
        version = (datetime.now(timezone.utc) + timedelta(microseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{number % 10}Z"
        tier = self.headers.get("x-ms-access-tier", "Hot")
        held.blobs[key] = {
            "body": body, "md5": md5, "about": about, "etag": f'"0x{number:X}"', "version": version, "tier": tier,
            "archived": tier == "Archive", "modified": format_datetime(datetime.now(timezone.utc), usegmt=True)}
        held.blocks.pop(key, None)
        return 201, {"etag": held.blobs[key]["etag"], **headers}, b""

    def keep(self, held, key):
        before = held.blobs.pop(key, None)
        if before is not None and VERSIONS:
            held.old.setdefault(key, []).append(before)

    def read(self, held, key):
        blob = self.found(held, key)
        self.conditions(held, key)
        body, headers = blob["body"], {"etag": blob["etag"], "last-modified": blob["modified"], "accept-ranges": "bytes"}
        headers.update({"content-type": "application/octet-stream", **blob["about"], "x-ms-access-tier": blob["tier"]})
        headers["x-ms-blob-type"] = "BlockBlob"
        for name, parameter in (("content-type", "rsct"), ("content-disposition", "rscd")):
            if parameter in self.query:
                headers[name] = self.query[parameter]
        if self.command == "HEAD":
            headers.update({"content-length": str(len(body)), **({"content-md5": blob["md5"]} if blob["md5"] else {})})
            return 200, headers, b""
        if blob["archived"]:
            raise Refused("BlobArchived")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("range") or "")
        if not asked:
            return 200, {**headers, **({"content-md5": blob["md5"]} if blob["md5"] else {})}, body
        first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
        if first >= len(body):
            raise Refused("InvalidRange")
        return 206, {**headers, "content-range": f"bytes {first}-{last}/{len(body)}"}, body[first:last + 1]

    def delete(self, held, key):
        version = self.query.get("versionid")
        if version is not None:
            olds = held.old.get(key, [])
            left = [blob for blob in olds if blob["version"] != version]
            if len(left) == len(olds):
                raise Refused("BlobNotFound")
            held.old[key] = left
            return 202, {}, b""
        self.found(held, key)
        self.conditions(held, key)
        self.keep(held, key)
        return 202, {}, b""

    def found(self, held, key):
        if key not in held.blobs:
            raise Refused("BlobNotFound")
        return held.blobs[key]

    def conditions(self, held, key):
        blob, match, none_match = held.blobs.get(key), self.headers.get("if-match"), self.headers.get("if-none-match")
        if match is not None and (blob is None or blob["etag"] != match):
            raise Refused("ConditionNotMet")
        if none_match == "*" and blob is not None:
            raise Refused("BlobAlreadyExists")

    def check_md5(self):
        if "content-md5" in self.headers and self.headers["content-md5"] != self.md5(self.body):
            raise Refused("Md5Mismatch")

    @staticmethod
    def md5(body):
        return base64.b64encode(hashlib.md5(body).digest()).decode()


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64

    def handle_error(self, *_):
        pass  # Connections that tests cut are no news.


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
