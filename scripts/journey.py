#!/usr/bin/env python3
"""From signed webhooks to stored media, with faults between, on this machine.

Starts RabbitMQ, `mediamill up` (worker and gateway, a directory as store) and `mediamill simulate`. The provider answers 503
twice for each file, its first URLs have expired, webhooks come twice at the same moment and in another order, with texts and
statuses between them; and the whole of mediamill is killed (SIGKILL) and started again in between.

Then the ledger: each media of a webhook that was answered with success has exactly one outcome, normalized or rejected, and
what was normalized is stored as its event says. Exit code 0 where it balances, 3 where it does not: the run is void then.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pika

PROGRAMS = "/usr/lib/rabbitmq/bin"
SECRET, TOKEN = "journey-secret", "journey-token"
PROVIDERS = {
    "whatsapp-cloud": ("800000000000001", "unavailable,expired,duplicates,reordered,noise"),
    "360dialog": ("800000000000001", "unavailable,duplicates,reordered,noise"),
    "twilio": ("AC00000000000000000000000000000001", "unavailable,not-yet,expired,duplicates,reordered"),
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def void(why):
    print(f"void: {why}", flush=True)
    raise SystemExit(3)


class Rabbit:
    """A node of its own: ports, names and data."""

    def __init__(self, home):
        self.port, dist, epmd = free_port(), free_port(), free_port()
        self.home = home
        home.mkdir()
        (home / "plugins").write_text("[].")
        (home / "rabbit.conf").write_text("log.console.level = warning\n")
        names = {
            "HOME": home, "RABBITMQ_NODENAME": "mediamill-journey@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port, "RABBITMQ_DIST_PORT": dist, "ERL_EPMD_PORT": epmd,
            "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_MNESIA_BASE": home / "data", "RABBITMQ_LOG_BASE": home / "log",
            "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": home / "pid", "RABBITMQ_ENABLED_PLUGINS_FILE": home / "plugins",
            "RABBITMQ_FEATURE_FLAGS_FILE": home / "flags", "RABBITMQ_CONFIG_FILE": home / "rabbit",
            "RABBITMQ_CONF_ENV_FILE": home / "none", "RABBITMQ_ALLOW_INPUT": "1",
        }
        env = os.environ | {name: str(value) for name, value in names.items()}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.epmd = subprocess.Popen(["epmd", "-port", str(epmd)], env=env, **quiet)
        log = open(home / "console", "ab")
        self.node = subprocess.Popen(
            [f"{PROGRAMS}/rabbitmq-server", "-noinput"], cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    @property
    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    def connect(self):
        for _ in range(900):
            try:
                return pika.BlockingConnection(pika.URLParameters(self.url))
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.2)
        void("RabbitMQ does not start")

    def end(self):
        for process in (self.node, self.epmd):
            process.kill()
            process.wait()


class Outcomes(threading.Thread):
    """Every event that leaves the pipeline, from a queue of its own."""

    def __init__(self, rabbit):
        super().__init__(daemon=True)
        self.rabbit, self.events, self.bound, self.over = rabbit, [], threading.Event(), False

    def run(self):
        connection = self.rabbit.connect()
        channel = connection.channel()
        queue = channel.queue_declare("journey", durable=True, arguments={"x-queue-type": "quorum"}).method.queue
        for key in ("media.normalized.#", "media.rejected", "media.failed", "message.#"):
            channel.queue_bind(queue, "mediamill", key)
        self.bound.set()
        while not self.over:
            for method, _, body in channel.consume(queue, inactivity_timeout=0.2):
                if method is None:
                    break
                self.events.append(json.loads(body))
                channel.basic_ack(method.delivery_tag)
        connection.close()

    def about(self):
        found = collections.defaultdict(dict)
        for event in list(self.events):
            found[event["data"]["media_id"]].setdefault(event["id"], event)
        return found


class Delivered(threading.Thread):
    """The messages that the gateway has taken, as the provider was told."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.lines = process, []

    def run(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))


def media_id(provider, line):
    name = "\0".join([line["account_id"], line["message_id"], line["part"] or "0"])
    return f"{provider}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def environment(args, home, rabbit, ports):
    gateway, simulated = ports
    account, _ = PROVIDERS[args.provider]
    settings = {
        "BROKER_URL": rabbit.url, "BROKER_RETRY_DELAYS_S": "1,2,3,5,10", "STORE_URL": f"file://{home}/store",
        "WORKER_SCRATCH_DIR": home / "scratch", "WORKER_SCRATCH_MIN_FREE_BYTES": "0",
        "GATEWAY_LISTEN": f"127.0.0.1:{gateway}", "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{gateway}",
        "CHANNELS__SUPPORT__PROVIDER": args.provider, "CHANNELS__SUPPORT__TENANT": "acme",
        "CHANNELS__SUPPORT__ACCOUNT": account, "CHANNELS__SUPPORT__TOKEN": TOKEN,
        "CHANNELS__SUPPORT__APP_SECRET": SECRET, "CHANNELS__SUPPORT__VERIFY_TOKEN": "journey-verify",
        "CHANNELS__SUPPORT__API_BASE": f"http://127.0.0.1:{simulated}",
        # Where 360dialog's error budget would have the account wait for half an hour, and the redirect of Twilio's leads.
        "CHANNELS__SUPPORT__MAX_ERRORS": "10000", "SOURCE_HTTP_ALLOW_HOSTS": f"localhost:{simulated}",
    }
    for name in ("store", "scratch"):
        (home / name).mkdir()
    return os.environ | {f"MEDIAMILL_{name}": str(value) for name, value in settings.items()}


def check(args, home, delivered, outcomes):
    """What does not balance."""
    wrong = []
    expected = {media_id(args.provider, line): line["file"] for line in delivered.lines}
    if len(expected) != args.messages:
        wrong.append(f"{args.messages} messages were sent, {len(expected)} media were taken")
    found = outcomes.about()
    by_file = collections.defaultdict(set)
    for media, file in expected.items():
        events = list(found.get(media, {}).values())
        if len(events) != 1:
            wrong.append(f"{media} ({file}) has {len(events)} outcomes")
            continue
        kind = events[0]["type"].removeprefix("mediamill.media.").removesuffix(".v1")
        by_file[file].add(kind)
        if kind == "failed":
            wrong.append(f"{media} ({file}) failed: {events[0]['data']['code']}")
        if kind == "normalized":
            wrong += stored(home / "store", events[0]["data"])
    wrong += [f"{media} was in no webhook" for media in found if media not in expected]
    wrong += [f"{file} ended as {sorted(kinds)}" for file, kinds in by_file.items() if len(kinds) != 1]
    counts = collections.Counter(kind for kinds in by_file.values() for kind in kinds)
    return wrong, counts


def stored(root, data):
    wrong = []
    for asset in data["assets"]:
        path = root / asset["key"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != asset["sha256"]:
            wrong.append(f"{asset['key']} is not stored as its event says")
    return wrong


def leftovers(rabbit):
    connection = rabbit.connect()
    channel = connection.channel()
    names = ["mediamill.urgent", "mediamill.audio", "mediamill.bulk", "mediamill.audio.later", "mediamill.bulk.later", "mediamill.dead"]
    left = {name: channel.queue_declare(name, passive=True).method.message_count for name in names}
    connection.close()
    return {name: count for name, count in left.items() if count}


def journey(args, home):
    rabbit = Rabbit(home / "rabbit")
    running, outcomes = [], None
    try:
        rabbit.connect().close()
        ports = free_port(), free_port()
        env = environment(args, home, rabbit, ports)
        subprocess.run([args.program, "topology", "--declare"], env=env, check=True, stdout=subprocess.DEVNULL)
        outcomes = Outcomes(rabbit)
        outcomes.start()
        outcomes.bound.wait(60) or void("no queue for outcomes")
        log = open(home / "up.log", "ab")
        up = lambda: subprocess.Popen([args.program, "up"], env=env, stdout=log, stderr=log)
        running.append(up())
        account, faults = PROVIDERS[args.provider]
        webhook = f"http://127.0.0.1:{ports[0]}/v1/channels/support"
        simulate = subprocess.Popen(
            [args.program, "simulate", args.provider, "--listen", f"127.0.0.1:{ports[1]}", "--webhook", webhook,
             "--folder", args.folder, "--secret", SECRET, "--token", TOKEN, "--account-id", account,
             "--count", str(args.messages), "--rate", str(args.rate), "--faults", faults],
            env=env, stdout=subprocess.PIPE, stderr=log, text=True,
        )
        running.append(simulate)
        delivered = Delivered(simulate)
        delivered.start()
        began, kills = time.monotonic(), 0
        while len(outcomes.about()) < args.messages or len(delivered.lines) < args.messages:
            # Once while webhooks come, and once while files are worked on.
            due = [len(delivered.lines) >= args.messages // 2, len(outcomes.about()) >= args.messages // 2]
            if kills < len(due) and due[kills]:
                running[0].kill()
                running[0].wait()
                print(f"killed: {len(delivered.lines)} messages taken, {len(outcomes.about())} outcomes", flush=True)
                running[0], kills = up(), kills + 1
            if time.monotonic() - began > args.timeout:
                print(f"{len(delivered.lines)} taken, {len(outcomes.about())} outcomes after {args.timeout} s")
                break
            time.sleep(0.1)
        took = time.monotonic() - began
        # What would come twice has some time to do so.
        time.sleep(3)
        wrong, counts = check(args, home, delivered, outcomes)
        left = leftovers(rabbit)
        wrong += [f"{count} messages are left in {name}" for name, count in left.items()]
        if kills < 2:
            wrong.append(f"mediamill was killed {kills} times instead of twice")
        for line in wrong[:20]:
            print(line)
        if wrong:
            if args.keep:
                shutil.copytree(home, args.keep, dirs_exist_ok=True)
            void(f"the ledger does not balance ({len(wrong)} lines)")
        webhooks = sum(line["attempts"] for line in delivered.lines)
        print(
            f"{args.provider}: {args.messages} messages in {webhooks} webhooks, {took:.0f} s; of {sum(counts.values())} files "
            f"{counts['normalized']} normalized, {counts['rejected']} rejected; lost 0, twice 0, failed 0"
        )
    finally:
        if outcomes:
            outcomes.over = True
            outcomes.join(10)
        for process in running:
            process.kill()
            process.wait()
        rabbit.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the mediamill to try")
    parser.add_argument("--provider", choices=PROVIDERS, default="whatsapp-cloud")
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--folder", default="fixtures")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--keep", help="where logs and data of a void run are kept")
    args = parser.parse_args()
    if not pathlib.Path(PROGRAMS, "rabbitmq-server").exists():
        void("rabbitmq-server is not installed")
    with tempfile.TemporaryDirectory(prefix="mediamill-journey-") as home:
        journey(args, pathlib.Path(home))


if __name__ == "__main__":
    sys.exit(main())
