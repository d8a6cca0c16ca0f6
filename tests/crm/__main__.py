"""A stateful fake of a CRM, for tests: `python3 tests/crm hubspot [PORT [HOST]]`.

Prints {"url": "http://HOST:PORT"}, with 127.0.0.1 where no host is given, and ends when its standard input is closed. What each fake imitates, with the sources, and
what no one has compared with the vendor, is in docs/deliver/fakes.md. Only the standard library of Python is used.
"""

import sys
import threading

from fakes import fake
from serve import Server, announce


def main():
    name, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server = Server(fake(name), port, *sys.argv[3:4])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    announce(server)
    sys.stdin.buffer.read()


main()
