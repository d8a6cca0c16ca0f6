#!/usr/bin/env python3
"""docker/compose.yaml with every role, brought up and used: fixtures, objects, metrics; a customer's files from a played WhatsApp
to an imitated HubSpot and out again (compose_journey.py); three workers, one killed and one drained under load; dashboard, alerts.
Everything is taken down again.

Images come from their registries where those answer, and otherwise from Debian's packages (docker/compose.debian.yaml).
IMAGES=registry or IMAGES=debian decides it. Ends with exit code 1 at the first thing that is not as it should be.
"""

import hashlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import compose_journey

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = "mediamill-smoke"
PROMETHEUS = "http://127.0.0.1:9090"
ROLES = ["worker", "gateway", "catalog", "deliver", "privacy"]
# Fixtures that are broken on purpose.
REJECTED = {"garbage.bin": "media.unsupported", "truncated.mp4": "media.unreadable"}
SENDERS, FILES_EACH = 6, 20
BEGUN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGUN:6.1f} s  {text}", flush=True)


def expect(holds, text):
    if not holds:
        raise SystemExit(f"FAILED: {text}")
    say(f"ok: {text}")


def out(*command, **options):
    """Standard output of a command that has to succeed."""
    run = subprocess.run(command, text=True, stdout=subprocess.PIPE, **options)
    if run.returncode:
        raise SystemExit(f"FAILED: {' '.join(map(str, command))} (exit code {run.returncode})")
    return run.stdout


def until(what, seconds, question):
    """Asks until the answer is true, and gives it back."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: no {what} within {seconds} s")
        time.sleep(0.5)
    return answer


def pulls(image):
    return subprocess.run(["docker", "pull", "--quiet", image], capture_output=True).returncode == 0


class Compose:
    def __init__(self, config):
        if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
            raise SystemExit("Docker is missing: no engine answers `docker info`, and this test is of containers")
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        if not plugin and not shutil.which("docker-compose"):
            raise SystemExit("Docker Compose is missing: neither `docker compose` nor `docker-compose` is installed")
        images = os.environ.get("IMAGES") or ("registry" if pulls("debian:trixie-slim") else "debian")
        say(f"images from: {images}")
        os.environ["CONFIG_FILE"] = str(config)
        files = ["--file", ROOT / "docker/compose.yaml", "--file", ROOT / "docker/compose.smoke.yaml"]
        self.services = ["rabbitmq", "policy", "postgres", "s3", "bucket", *ROLES, "caddy", "crm", "prometheus"]
        if images == "debian":
            subprocess.run([ROOT / "scripts/base-images.sh"], check=True)
            files += ["--file", ROOT / "docker/compose.debian.yaml"]
            os.environ["PYTHON_IMAGE"] = "mediamill-debian/python"
            build = ["docker", "build", "--quiet", "--target", "python", "--tag", os.environ["PYTHON_IMAGE"]]
            out(*build, ROOT / "docker/debian")
            say("Debian has no Grafana: its dashboard's questions are put to Prometheus all the same")
        else:
            self.services.append("grafana")
        self.base = [*(["docker", "compose"] if plugin else ["docker-compose"]), "--project-name", PROJECT, *files]
        # Those of accounts, too.
        self.base += ["--profile", "gateway", "--profile", "deliver"]

    def __call__(self, *args, quiet=True, **options):
        return out(*self.base, *args, **({"stderr": subprocess.DEVNULL} if quiet else {}), **options)

    def workers(self):
        """Ids of the workers' containers, without those that only publish."""
        return self.containers("worker")

    def containers(self, service):
        labels = {"project": PROJECT, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return out("docker", "ps", "--quiet", *filters).split()

    def in_worker(self, script, *mounts):
        """A command in a container like a worker's, which is started and not awaited."""
        run = ["run", "--rm", "--no-deps", *mounts, "--entrypoint", "sh", "worker", "-c", script]
        if self.base[0] == "docker-compose":
            run.insert(1, "-T")
        return subprocess.Popen([*self.base, *run], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def query(expression):
    """What Prometheus answers: labels and value of each series."""
    url = f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [(series["metric"], float(series["value"][1])) for series in json.load(answer)["data"]["result"]]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"FAILED: Prometheus does not understand {expression}: {error.read().decode()}")
    except OSError:
        return []


def number(expression):
    answer = query(expression)
    return answer[0][1] if answer else 0.0


def address(container):
    network = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return out("docker", "inspect", "--format", network, container).strip()


def metric(container, name):
    """Sum of a metric over its labels, from the worker itself."""
    with urllib.request.urlopen(f"http://{address(container)}:9464/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def publish(sender, names):
    """A script that asks for fixtures one after another, and says with which exit code each was answered."""
    return "\n".join(
        f'echo "== {name}"; mediamill publish --wait --media-id "{sender}-{n}" /fixtures/{name}; echo "== $?"'
        for n, name in enumerate(names)
    )


def outcomes(process):
    """Fixture, exit code and data of each outcome that a publishing process printed."""
    text, errors = process.communicate()
    parts = [part.strip() for part in text.split("== ")[1:]]
    found = []
    for told, code in zip(parts[::2], parts[1::2]):
        name, _, data = told.partition("\n")
        if not data:
            raise SystemExit(f"FAILED: no outcome for {name}: {errors}")
        found.append((name, int(code), json.loads(data)))
    return found


def is_right(name, code, data):
    return code == 3 and data["code"] == REJECTED[name] if name in REJECTED else code == 0 and bool(data["assets"])


def check_fixtures(compose, fixtures):
    names = sorted(path.name for path in (ROOT / "fixtures").iterdir())
    told = outcomes(compose.in_worker(publish("fixture", names), *fixtures))
    wrong = [(name, code, data.get("code")) for name, code, data in told if not is_right(name, code, data)]
    expect(len(told) == len(names) and not wrong, f"{len(names)} fixtures have their outcomes {wrong or ''}")
    return told


def check_objects(compose, told):
    assets = {asset["key"]: asset for _, _, data in told for asset in data.get("assets", [])}
    with tempfile.TemporaryDirectory() as folder:
        # For whoever the container runs as.
        os.chmod(folder, 0o777)
        copy = ["s3", "cp", "--quiet", "--recursive", "s3://mediamill/", "/objects", "--endpoint-url", "http://s3:8333"]
        run = ["run", "--rm", "--no-deps", "--volume", f"{folder}:/objects", "--entrypoint", "aws", "bucket", *copy]
        compose(*run)
        path = {key: pathlib.Path(folder, key) for key in assets}
        wrong = [
            key
            for key, asset in assets.items()
            if not path[key].exists() or hashlib.sha256(path[key].read_bytes()).hexdigest() != asset["sha256"]
        ]
    expect(assets and not wrong, f"{len(assets)} objects that events name are stored with their SHA-256 {wrong or ''}")


def check_metrics(told):
    normalized = sum(code == 0 for _, code, _ in told)
    for outcome, count in [("normalized", normalized), ("rejected", len(told) - normalized)]:
        counted = f'sum(mediamill_jobs_total{{outcome="{outcome}"}})'
        until(f"{counted} = {count}", 60, lambda: number(counted) == count)
    say(f"ok: Prometheus counts {normalized} normalized, {len(told) - normalized} rejected")
    sandbox = query("mediamill_sandbox_info")
    full = all(labels["landlock"] == "full" and labels["seccomp"] == "true" for labels, _ in sandbox)
    expect(sandbox and full, f"the jail is in force: Landlock ABI {sandbox[0][0]['landlock_abi']} and seccomp")


def check_dashboard():
    panels = json.loads((ROOT / "docker/grafana/dashboards/mediamill.json").read_text())["panels"]
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel.get("targets", [])]
    silent = [expression for expression in asked if not query(expression)]
    expect(len(silent) < len(asked) / 4, f"of {len(asked)} questions of the dashboard {len(silent)} have no answer")
    for expression in silent:
        say(f"    nothing to show: {expression}")


def check_alerts():
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/rules", timeout=10) as answer:
        groups = json.load(answer)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    sick = [rule["name"] for rule in rules if rule["health"] not in ("ok", "unknown")]
    loud = [rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "critical"]
    expect(rules and not sick and not loud, f"{len(rules)} alert rules are evaluated {sick + loud or ''}")


def check_journey(compose):
    """Through every role, and out again."""
    in_catalog = ["exec", "-T", "catalog", "mediamill", "find", "--limit", "1000", "--format", "json", "--tenant"]
    journey = compose_journey.Journey(
        f"http://{address(compose.containers('crm')[0])}:8088",
        lambda tenant: [json.loads(line) for line in compose(*in_catalog, tenant).splitlines()], until, expect,
    )
    docker = lambda *words: subprocess.Popen(["docker", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    provider, delivered, count = compose_journey.simulate(docker, compose.workers()[0], "mediamill")
    try:
        journey.leave(journey.arrive(delivered, count))
    finally:
        compose_journey.stop(docker, provider)


def https_status(host, path):
    """Caddy's certificates are of its own authority here: nobody else vouches for these names."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        connection = socket.create_connection(("127.0.0.1", 443), timeout=10)
        with context.wrap_socket(connection, server_hostname=host) as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return int(tls.recv(64).split()[1])
    except (OSError, IndexError):
        return None


def check_tls():
    for host, path, expected in [("localhost", "/v1/channels/nobody", 404), ("catalog.localhost", "/openapi.json", 200)]:
        status = until(f"answer of https://{host}{path}", 60, lambda: https_status(host, path))
        expect(status == expected, f"https://{host}{path} is answered with {status}")


def check_scaling(compose, fixtures):
    compose("up", "--detach", "--no-recreate", "--scale", "worker=3", *compose.services)
    until("third worker in Prometheus", 90, lambda: number('count(up{job="mediamill-worker"} == 1)') == 3)
    say("ok: Prometheus has found 3 workers")
    mix = ["voice-note.ogg", "conforming.mp4", "picture.png", "invoice.pdf", "voice-amr.amr"]
    names = [mix[n % len(mix)] for n in range(FILES_EACH)]
    senders = [compose.in_worker(publish(f"load-{n}", names), *fixtures) for n in range(SENDERS)]
    killed, drained, left = compose.workers()
    until("job in the worker that is to die", 60, lambda: metric(killed, "mediamill_slots_busy"))
    out("docker", "kill", "--signal", "KILL", killed)
    say("killed a worker with a job in it")

    until("job in the worker that is to stop", 60, lambda: metric(drained, "mediamill_slots_busy"))
    stopping = time.monotonic()
    out("docker", "stop", "--time", "90", drained)
    code = out("docker", "inspect", "--format", "{{.State.ExitCode}}", drained).strip()
    expect(code == "0", f"a worker with a job in it drained within {time.monotonic() - stopping:.1f} s, exit code {code}")

    told = [outcome for sender in senders for outcome in outcomes(sender)]
    asked = SENDERS * FILES_EACH
    wrong = [(name, code) for name, code, data in told if not is_right(name, code, data)]
    expect(len(told) == asked and not wrong, f"{len(told)} of {asked} jobs under load have their outcomes {wrong or ''}")
    waiting = metric(left, "mediamill_queue_messages")
    expect(waiting == 0, f"{waiting:.0f} messages are left, the dead queue included")
    return told


def check_ready(compose):
    healthy = ["docker", "inspect", "--format", "{{.State.Health.Status}}"]
    for role in ROLES:
        container = compose.containers(role)
        until(f"healthy {role}", 180, lambda: container and out(*healthy, container[0]).strip() == "healthy")
    say("ok: every role is healthy")
    for role in ROLES:
        ready = f'min(mediamill_ready{{job="mediamill-{role}"}})'
        until(f"ready {role}", 120, lambda: number(ready) == 1)
    say("ok: every role is ready, part by part")


def run(compose):
    fixtures = ["--volume", f"{ROOT / 'fixtures'}:/fixtures:ro"]
    try:
        say("building images")
        compose("build", quiet=False)
        say("starting")
        compose("up", "--detach", *compose.services, quiet=False)
        check_ready(compose)
        told = check_fixtures(compose, fixtures)
        check_objects(compose, told)
        check_metrics(told)
        check_tls()
        check_journey(compose)
        check_objects(compose, check_scaling(compose, fixtures))
        check_dashboard()
        check_alerts()
        if len(sys.argv) > 1 and sys.argv[1] == "--stay":
            input("all is well; Enter takes it down")
    except BaseException:
        subprocess.run([*compose.base, "logs", "--tail", "20"])
        raise
    finally:
        subprocess.run([*compose.base, "down", "--volumes", "--timeout", "90"], capture_output=True)


def main():
    with tempfile.TemporaryDirectory(prefix="mediamill-smoke-") as folder:
        # For whoever the containers run as.
        os.chmod(folder, 0o755)
        config = pathlib.Path(folder, "mediamill.toml")
        config.write_text(compose_journey.CONFIG)
        run(Compose(config))


main()
