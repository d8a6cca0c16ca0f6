"""A client of TLS that is not ours (Python's ssl module, which is OpenSSL): a request, and what was agreed on.

tls.py ROOT VERSION HOST PORT PATH; prints a line of JSON, with "refused" where the certificate is not accepted.
"""

import hashlib
import http.client
import json
import ssl
import sys

root, version, host, port, path = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
context.set_alpn_protocols(["h2", "http/1.1"])
connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=context)
try:
    connection.connect()
except ssl.SSLCertVerificationError as error:
    print(json.dumps({"refused": error.verify_message}))
    sys.exit()
certificate = hashlib.sha256(connection.sock.getpeercert(binary_form=True)).hexdigest()
agreed = {"version": connection.sock.version(), "protocol": connection.sock.selected_alpn_protocol()}
connection.request("GET", path)
answer = connection.getresponse()
print(json.dumps({**agreed, "certificate": certificate, "status": answer.status, "body": answer.read().decode()[:200]}))
