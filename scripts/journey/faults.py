#!/usr/bin/env python3
"""The whole way under one fault after another, on this machine: is anything lost, does anything come twice?

For each fault: RabbitMQ, PostgreSQL, an S3 server, a HubSpot that is imitated, a provider, and every role as a process of its own. While
messages come, one of them is killed, frozen, restarted or full. Then the ledger: each media of a webhook that was answered with success
has exactly one outcome, one note and one row of the catalogue, nothing has failed, nothing is left in a queue, and what is stored has
the SHA-256 that its event says. A line of Markdown for each fault. Exit code 3 where a line does not balance.
"""

import argparse
import collections
import functools
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import balance
from crm import Crm
from mill import QUEUES, Mill
from node import Rabbit, each, void, wait_until
from services import Postgres, Seaweed
from watch import Delivered, Outcomes

ROLES = ("gateway", "worker", "catalog", "deliver", "privacy")
ROOT = pathlib.Path(__file__).resolve().parents[2]
# How long something is away, frozen or full.
AWAY_S = 10
# Files that cost little: most of what is tried here is not decoding.
FILES = ("voice-amr.amr", "contact.vcf", "picture.webp", "garbage.bin")


class Roles(Mill):
    """Every role as a process of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.roles = {}

    def up(self):
        for role in ROLES:
            self.begin(role)

    def begin(self, role):
        self.roles[role] = subprocess.Popen([self.args.program, role], env=self.env, stdout=self.log, stderr=self.log)

    def signal(self, role, what):
        self.roles[role].send_signal(what)

    def restart(self, role, how):
        self.signal(role, how)
        self.roles[role].wait()
        self.begin(role)

    def end(self):
        for process in self.roles.values():
            process.kill()
            process.wait()


class World:
    """What runs under one fault."""

    def __init__(self, args, home):
        self.args, self.home, self.parts = args, home, []
        folder = home / "files"
        folder.mkdir()
        for name in FILES:
            shutil.copy(ROOT / "fixtures" / name, folder)
        args.folder = str(folder)
        self.rabbit = self.part(Rabbit(home / "rabbit"))
        self.postgres = self.part(Postgres())
        self.seaweed = self.part(Seaweed(home / "seaweed"))
        self.crm = self.part(Crm())
        self.rabbit.connect().close()
        databases = {f"{name}_URL": self.postgres.url(name.lower()) for name in ("CATALOG", "LEDGER")}
        self.mill = self.part(Roles(args, home, self.rabbit, self.crm, self.seaweed.settings() | databases))
        self.outcomes = Outcomes(self.rabbit)
        self.outcomes.start()
        self.outcomes.bound.wait(60) or void("no queue for outcomes")
        self.mill.up()
        self.senders = []
        self.send()

    def part(self, part):
        self.parts.append(part)
        return part

    def send(self):
        provider = self.mill.simulate("")
        self.senders.append((provider, Delivered(provider)))
        self.senders[-1][1].start()

    @property
    def lines(self):
        return [line for _, delivered in self.senders for line in delivered.lines]

    def taken(self):
        return len({line["message_id"] for line in self.lines})

    def until(self, part):
        wait_until(f"{part} of the messages taken", self.args.timeout, lambda: self.taken() >= part * self.args.messages)

    def settle(self):
        """Until each message has its outcome and note and nothing waits; what would come twice has some time to do so."""
        counts = lambda: (self.taken(), len(self.outcomes.about()), len(self.crm.markers()))
        end = time.monotonic() + self.args.timeout
        while min(counts()) < self.args.messages or self.rabbit.waiting(QUEUES):
            if time.monotonic() > end:
                void(f"taken, outcomes, notes after {self.args.timeout} s: {counts()}; waiting: {self.rabbit.waiting(QUEUES)}")
            time.sleep(0.2)
        time.sleep(3)

    def ledger(self):
        """What does not balance, and counts of it."""
        copy = self.home / "copy"
        # Keys begin with the prefix of the store, which a copy leaves out.
        (copy / "media").mkdir(parents=True)
        self.mill.run("store", "copy", "s3://journey/media", f"file://{copy}/media")
        delivered = collections.namedtuple("Delivered", "lines")(list({line["message_id"]: line for line in self.lines}.values()))
        wrong, _ = balance.outcomes(self.args, copy, delivered, self.outcomes)
        wrong += balance.notes(self.crm, self.outcomes)
        wrong += balance.rows(self.mill.find(), self.outcomes)
        wrong += balance.links(self.crm.links(), 200)
        return wrong

    def end(self):
        self.outcomes.over = True
        self.outcomes.join(10)
        for provider, _ in self.senders:
            provider.kill()
            provider.wait()
        for part in reversed(self.parts):
            part.end()


def killed(world, role):
    for part in (0.2, 0.5, 0.8):
        world.until(part)
        world.mill.restart(role, signal.SIGKILL)


def frozen(world, role):
    world.until(0.3)
    world.mill.signal(role, signal.SIGSTOP)
    time.sleep(AWAY_S)
    world.mill.signal(role, signal.SIGCONT)


def all_killed(world):
    for part in (0.3, 0.7):
        world.until(part)
        for role in ROLES:
            world.mill.signal(role, signal.SIGKILL)
        for role in ROLES:
            world.mill.roles[role].wait()
        world.mill.up()


def all_restarted(world):
    """As an upgrade does it: role after role, each ends what it has."""
    for n, role in enumerate(ROLES):
        world.until(0.2 + 0.15 * n)
        world.mill.restart(role, signal.SIGTERM)


def broker_restarted(world):
    world.until(0.4)
    world.rabbit.restart()


def broker_killed(world):
    world.until(0.4)
    world.rabbit.kill()
    world.rabbit.start()
    world.rabbit.connect().close()


def broker_blocked(world):
    world.until(0.3)
    world.rabbit.tool("set_vm_memory_high_watermark", "0.000001")
    time.sleep(AWAY_S)
    world.rabbit.tool("set_vm_memory_high_watermark", "0.6")


def service_frozen(world, name):
    world.until(0.3)
    getattr(world, name).freeze(True)
    time.sleep(AWAY_S)
    getattr(world, name).freeze(False)


def service_killed(world, name):
    world.until(0.4)
    getattr(world, name).kill()
    time.sleep(AWAY_S)
    getattr(world, name).start()


def crm_fails(world, **rule):
    world.crm.faults(rule)
    world.until(0.6)
    time.sleep(AWAY_S)
    world.crm.faults()
    world.crm.met(rule["fault"]) or void(f"no request met the fault {rule['fault']}")


def crm_holds(world):
    world.crm.faults({"fault": "hold-after", "times": 4})
    world.until(0.6)
    time.sleep(AWAY_S)
    world.crm.faults()
    world.crm.ask("POST", "release", {})
    world.crm.met("hold-after") or void("no request was held")


def provider_away(world):
    world.until(0.4)
    provider, _ = world.senders[-1]
    provider.kill()
    provider.wait()
    time.sleep(AWAY_S)
    # It does not know what it has sent: everything comes again.
    world.send()


FAULTS = {
    **{f"{role} killed three times": functools.partial(killed, role=role) for role in ROLES},
    **{f"{role} frozen": functools.partial(frozen, role=role) for role in ROLES},
    "every role killed twice": all_killed,
    "every role restarted, one after the other": all_restarted,
    "broker restarted": broker_restarted,
    "broker killed": broker_killed,
    "broker blocked": broker_blocked,
    "broker frozen": functools.partial(service_frozen, name="rabbit"),
    "store killed": functools.partial(service_killed, name="seaweed"),
    "store frozen": functools.partial(service_frozen, name="seaweed"),
    "database killed": functools.partial(service_killed, name="postgres"),
    "database frozen": functools.partial(service_frozen, name="postgres"),
    "CRM answers 500": functools.partial(crm_fails, fault="status", status=500, times=10_000),
    "CRM answers 429": functools.partial(crm_fails, fault="quota", times=10_000),
    "CRM resets connections": functools.partial(crm_fails, fault="drop-before", times=10_000),
    "CRM loses its answers": functools.partial(crm_fails, fault="drop-after", times=20),
    "CRM answers late": crm_holds,
    "provider killed, and sends all again": provider_away,
}


def run(args, name, home):
    world = World(args, home)
    try:
        began = time.monotonic()
        FAULTS[name](world)
        world.settle()
        took = time.monotonic() - began - 3
        wrong = world.ledger()
        again = sum(line["attempts"] - 1 for line in world.lines)
        verdict = "balances" if not wrong else f"{len(wrong)} lines are wrong"
        print(f"| {name} | {args.messages} | {again} | {verdict} | {took:.0f} |", flush=True)
        for line in wrong[:10]:
            print(line, file=sys.stderr)
        return not wrong
    finally:
        world.end()
        if args.keep:
            shutil.copytree(home, pathlib.Path(args.keep, name.replace(" ", "-")), dirs_exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the mediamill to try")
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--only", help="a part of the names of the faults")
    parser.add_argument("--keep", help="where logs and data are kept")
    args = parser.parse_args()
    args.provider = "whatsapp-cloud"
    print("| fault | messages | webhooks sent again | ledger | seconds |\n|---|---|---|---|---|", flush=True)
    each(FAULTS, args.only, lambda name, home: run(args, name, home))


if __name__ == "__main__":
    sys.exit(main())
