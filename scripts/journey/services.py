"""PostgreSQL and an S3 server (seaweedfs) of their own, which can be stopped, frozen and started again."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from node import free_port, void

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
KEY_ID, SECRET_KEY = "journey", "journey-secret-key"


def tree(pid):
    """A process and all below it."""
    below = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE, text=True).stdout.split()
    return [pid] + [inner for child in below for inner in tree(int(child))]


def send(process, what):
    for pid in tree(process.pid):
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


class Postgres:
    """A cluster whose socket is below /tmp, since the path of one has 107 bytes at most. The server refuses to run as root."""

    def __init__(self):
        self.programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mediamill-pg-", dir="/tmp"))
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.dir, "postgres", "postgres")
        self.tool("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D", self.dir / "data")
        self.process = None
        self.start()
        for name in ("catalog", "ledger"):
            self.tool("psql", "-q", "-U", "postgres", "-h", self.dir, "-c", f"CREATE DATABASE {name}")

    def tool(self, name, *words):
        done = subprocess.run([*self.user, self.programs / name, *words], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            void(f"{name} of PostgreSQL: {done.stderr}")

    def start(self):
        log = open(self.dir / "console", "ab")
        words = ["-D", self.dir / "data", "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.dir}", "-c", "max_connections=200"]
        self.process = subprocess.Popen([*self.user, self.programs / "postgres", *words], cwd="/", stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log)
        answers = [*self.user, self.programs / "pg_isready", "-q", "-h", self.dir]
        for _ in range(300):
            if subprocess.run(answers, cwd="/").returncode == 0:
                return
            time.sleep(0.1)
        void("PostgreSQL does not start")

    def url(self, database):
        return f"postgres://postgres@localhost/{database}?host={self.dir}"

    def kill(self):
        send(self.process, signal.SIGKILL)
        self.process.wait()

    def freeze(self, stop):
        send(self.process, signal.SIGSTOP if stop else signal.SIGCONT)

    def end(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


class Seaweed:
    """One server with one bucket; what it has is on disk, and there again after a kill."""

    def __init__(self, home):
        self.home = home
        home.mkdir()
        self.ports = [free_port() for _ in range(8)]
        identity = f"""{{"identities": [{{"name": "journey", "credentials": [{{"accessKey": "{KEY_ID}", "secretKey": "{SECRET_KEY}"}}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"""
        (home / "s3.json").write_text(identity)
        self.process = None
        self.start()
        make = (f"import boto3, sys; s3 = boto3.client('s3', endpoint_url={self.endpoint!r}, region_name='us-east-1', "
                f"aws_access_key_id={KEY_ID!r}, aws_secret_access_key={SECRET_KEY!r}); s3.create_bucket(Bucket='journey')")
        for _ in range(240):
            if subprocess.run([ROOT / "target/venv/bin/python", "-c", make], **QUIET).returncode == 0:
                return
            time.sleep(0.5)
        void("seaweedfs does not start")

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self):
        names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
        words = [f"-{name}={port}" for name, port in zip(names, self.ports)]
        self.process = subprocess.Popen(
            [ROOT / "target/venv/bin/weed", "server", f"-dir={self.home}", f"-s3.config={self.home}/s3.json", "-ip=127.0.0.1",
             "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=20", "-master.volumeSizeLimitMB=64", "-s3.iam=false", *words],
            cwd=self.home, **QUIET,
        )

    def kill(self):
        send(self.process, signal.SIGKILL)
        self.process.wait()

    def freeze(self, stop):
        send(self.process, signal.SIGSTOP if stop else signal.SIGCONT)

    def settings(self):
        return {
            "STORE_URL": "s3://journey/media", "STORE_ENDPOINT": self.endpoint, "STORE_REGION": "us-east-1", "STORE_PATH_STYLE": "true",
            "STORE_ACCESS_KEY_ID": KEY_ID, "STORE_SECRET_ACCESS_KEY": SECRET_KEY, "STORE_ATTEMPT_TIMEOUT_S": "5",
            "CATALOG_REDIRECT": "false",
        }

    def end(self):
        self.kill()


