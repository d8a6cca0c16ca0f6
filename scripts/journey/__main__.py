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
import shutil
import sys
import tempfile
import time

import balance
from crm import LOST_ANSWERS, Crm
from mill import PROVIDERS, QUEUES, Mill
from node import PROGRAMS, Rabbit, void, wait_until
from watch import Delivered, Outcomes


class Journey:
    """What runs, from its start to its end."""

    def __init__(self, args, home):
        self.args, self.home = args, home
        self.rabbit = Rabbit(home / "rabbit")
        self.crm = self.mill = self.outcomes = self.provider = None

    def start(self):
        self.crm = Crm()
        self.rabbit.connect().close()
        self.mill = Mill(self.args, self.home, self.rabbit, self.crm)
        self.outcomes = Outcomes(self.rabbit)
        self.outcomes.start()
        self.outcomes.bound.wait(60) or void("no queue for outcomes")
        self.mill.up()

    def send(self, faults):
        self.provider = self.mill.simulate(faults)
        delivered = Delivered(self.provider)
        delivered.start()
        return delivered

    def arrive(self):
        """Until each message has its outcome and its note: mediamill is killed at half of the webhooks, and at half of the outcomes."""
        delivered, kills, half = self.send(self.mill.faults), 0, self.args.messages // 2
        end = time.monotonic() + self.args.timeout
        while min(len(delivered.lines), len(self.outcomes.about()), len(self.crm.markers())) < self.args.messages:
            if time.monotonic() > end:
                void(f"{len(delivered.lines)} taken, {len(self.outcomes.about())} outcomes, {len(self.crm.markers())} notes after "
                     f"{self.args.timeout} s")
            due = [len(delivered.lines) >= half, len(self.outcomes.about()) >= half]
            if kills < len(due) and due[kills]:
                self.mill.kill()
                print(f"killed: {len(delivered.lines)} messages taken, {len(self.outcomes.about())} outcomes", flush=True)
                self.mill.up()
                kills += 1
            time.sleep(0.1)
        if kills < 2:
            void(f"mediamill was killed {kills} times instead of twice")
        self.settle()
        return delivered

    def settle(self):
        """Nothing waits any more; what would come twice has some time to do so."""
        wait_until("empty queues", 120, lambda: not self.rabbit.waiting(QUEUES))
        time.sleep(3)

    def balance(self, delivered):
        wrong, counts = balance.outcomes(self.args, self.home / "store", delivered, self.outcomes)
        wrong += balance.notes(self.crm, self.outcomes)
        wrong += balance.rows(self.mill.find(), self.outcomes)
        wrong += balance.links(self.crm.links(), 200)
        wrong += [f"{count} messages are left in {name}" for name, count in self.rabbit.waiting(QUEUES).items()]
        lost = self.crm.lost_answers()
        if lost != LOST_ANSWERS:
            wrong.append(f"the CRM lost {lost} answers instead of {LOST_ANSWERS}")
        self.judge(wrong)
        return counts

    def erase(self):
        """The sender is erased, also in the CRM, and sends everything again."""
        links = self.crm.links()
        certificate = self.mill.erase()
        if certificate["media"] != self.args.messages or certificate.get("refused"):
            void(f"the certificate is about {certificate['media']} media of {self.args.messages}")
        wait_until("notes and files of the CRM gone", 120, lambda: not self.crm.links() and self.crm.files() == 0)
        self.provider.kill()
        self.provider.wait()
        again = self.send("")
        wait_until("everything sent again", 120, lambda: len(again.lines) == self.args.messages)
        self.settle()
        wrong = balance.links(links, 410)
        left = self.mill.media_bytes()
        if left:
            wrong.append(f"{left} bytes of media are stored")
        if files := self.crm.files():
            wrong.append(f"{files} files are in the CRM")
        if notes := self.crm.notes():
            wrong.append(f"{len(notes)} notes are in the CRM")
        wrong += [f"{row['media_id']} is in the catalogue as {row['state']}" for row in self.mill.find()]
        self.judge(wrong)
        return certificate, left

    def judge(self, wrong):
        for line in wrong[:20]:
            print(line)
        if wrong:
            void(f"the ledger does not balance ({len(wrong)} lines)")

    def end(self, is_void):
        if self.outcomes:
            self.outcomes.over = True
            self.outcomes.join(10)
        for process in (self.mill and self.mill.process, self.provider):
            if process:
                process.kill()
                process.wait()
        if self.crm:
            self.crm.end()
        self.rabbit.end()
        if is_void and self.args.keep:
            shutil.copytree(self.home, self.args.keep, dirs_exist_ok=True)


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
