"""A RabbitMQ node of its own, and what every part of a journey needs."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import pika

PROGRAMS = "/usr/lib/rabbitmq/bin"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def void(why):
    """The run proves nothing: says why, and ends with exit code 3."""
    print(f"void: {why}", flush=True)
    raise SystemExit(3)


def wait_until(what, seconds, is_so):
    """Looks every 100 ms, and voids the run where it is not so in time."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        if time.monotonic() > end:
            void(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return found


def each(faults, only, run):
    """A line of a table for each fault whose name has `only` in it: `run(name, home)` prints it, and says whether it balances. A run that
    is void has a line, too, and voids the whole table."""
    if not pathlib.Path(PROGRAMS, "rabbitmq-server").exists():
        void("rabbitmq-server is not installed")
    names = [name for name in faults if (only or "") in name]
    if not names:
        void(f"no fault has {only!r} in its name")
    balanced = True
    for name in names:
        with tempfile.TemporaryDirectory(prefix="mediamill-fault-") as home:
            try:
                balanced &= run(name, pathlib.Path(home))
            except SystemExit:
                balanced = False
                print(f"| {name} | void |", flush=True)
    if not balanced:
        void("a line does not balance")


class Rabbit:
    """Ports, names and data of its own."""

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
        self.env = env
        self.start()

    def start(self):
        log = open(self.home / "console", "ab")
        self.node = subprocess.Popen([f"{PROGRAMS}/rabbitmq-server", "-noinput"], cwd=self.home, env=self.env,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)

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

    def waiting(self, names):
        """How many messages are ready in each of these queues, where any are."""
        connection = self.connect()
        channel = connection.channel()
        left = {name: channel.queue_declare(name, passive=True).method.message_count for name in names}
        connection.close()
        return {name: count for name, count in left.items() if count}

    def tool(self, *words):
        subprocess.run([f"{PROGRAMS}/rabbitmqctl", "--quiet", *words], env=self.env, check=True, stdout=subprocess.DEVNULL, cwd=self.home)

    def restart(self):
        self.tool("stop")
        self.node.wait()
        self.start()
        self.connect().close()

    def kill(self):
        self.node.kill()
        self.node.wait()

    def freeze(self, stop):
        self.node.send_signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def end(self):
        for process in (self.node, self.epmd):
            process.kill()
            process.wait()
