#!/usr/bin/env python3
"""Takes webhooks and appends each to a file as a JSON line {"headers", "body"}. Prints its port first."""

import http.server
import json
import sys


class Taker(http.server.BaseHTTPRequestHandler):
    """Answers everything with 204."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with open(sys.argv[1], "a", encoding="utf-8") as heard:
            heard.write(json.dumps({"headers": headers, "body": body}) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
print(server.server_address[1], flush=True)
server.serve_forever()
