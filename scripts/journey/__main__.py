#!/usr/bin/env python3
"""From a customer's message to a note in the CRM, and gone again, with faults between, on this machine and without an account.

Starts RabbitMQ, a HubSpot that is imitated, `mediamill up` with every role (a directory as store, SQLite) and `mediamill simulate`. The
provider answers 503 twice for each file, its first URLs have expired, webhooks come twice at the same moment and in another order,
with texts and statuses between them; the whole of mediamill is killed (SIGKILL) and started again twice; the CRM makes three notes
whose answers are lost.

Then the ledger: each media of a webhook that was answered with success has exactly one outcome, normalized or rejected, one row in
the catalogue and one note in the CRM; what was normalized is stored as its event says, and each note's link opens its page. Then the
sender is erased, and everything is sent again: nothing of it comes back. Exit code 0 where all of it balances, 3 where it does not:
the run is void then.
"""

import argparse
import pathlib
import sys
import tempfile
import time

from mill import PROVIDERS
from node import PROGRAMS, void
from way import Journey


def stay(journey):
    """A person may look."""
    links = journey.crm.links()
    print(f"look at it: {links[-1] if links else 'no note has a link'}")
    print(f"the store is {journey.home}/store, the CRM's notes are at {journey.crm.url}/__fake/state")
    input("Enter erases the sender, and ends: ")


def run(args, home):
    journey, is_void = Journey(args, home), True
    try:
        began = time.monotonic()
        journey.start()
        delivered = journey.arrive()
        counts = journey.balance(delivered)
        webhooks = sum(line["attempts"] for line in delivered.lines)
        print(
            f"{args.provider}: {args.messages} messages in {webhooks} webhooks, {time.monotonic() - began:.0f} s; of "
            f"{sum(counts.values())} files {counts['normalized']} normalized, {counts['rejected']} rejected; "
            f"{len(journey.crm.notes())} notes with {journey.crm.files()} files", flush=True
        )
        if args.stay:
            stay(journey)
        certificate, left = journey.erase()
        print(f"erased: certificate {certificate['number']}, {certificate['media']} media, {certificate['objects']} objects; sent again")
        print(f"lost 0 · twice 0 · failed 0 · came back 0 · bytes left {left}")
        is_void = False
    finally:
        journey.end(is_void)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the mediamill to try")
    parser.add_argument("--provider", choices=PROVIDERS, default="whatsapp-cloud")
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--folder", default="fixtures")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--stay", action="store_true", help="wait before the sender is erased, so that a person can look")
    parser.add_argument("--keep", help="where logs and data of a void run are kept")
    args = parser.parse_args()
    if not pathlib.Path(PROGRAMS, "rabbitmq-server").exists():
        void("rabbitmq-server is not installed")
    with tempfile.TemporaryDirectory(prefix="mediamill-journey-") as home:
        run(args, pathlib.Path(home))


if __name__ == "__main__":
    sys.exit(main())
