"""`mediamill up` with every role, its store and databases in one folder, and the commands that people give."""

import base64
import json
import os
import pathlib
import subprocess
import time

from crm import KEY, PHONE
from node import free_port, void

SECRET, TOKEN = "journey-secret", "journey-token"
# Account, and what goes wrong at the provider.
PROVIDERS = {
    "whatsapp-cloud": ("800000000000001", "unavailable,expired,duplicates,reordered,noise"),
    "360dialog": ("800000000000001", "unavailable,duplicates,reordered,noise"),
    "twilio": ("AC00000000000000000000000000000001", "unavailable,not-yet,expired,duplicates,reordered"),
    "messagebird": ("ch000000000000000000000000000001", "unavailable,duplicates,reordered"),
    "bird-channels": ("00000000-0000-4000-9000-000000000001", "unavailable,expired,duplicates,reordered"),
    "bird": ("ws_00000000000000000000000001", "unavailable,duplicates,reordered"),
    "generic": ("default", "unavailable,duplicates,reordered"),
}
# What a provider needs besides, below its table of `channels`: docs/channels/generic.md.
MORE = {
    "generic": {
        "SIGNATURE": "hmac-sha512-hex", "SIGNATURE_HEADER": "x-webhook-hmac", "AT_MESSAGES": "/payload", "AT_ID": "/id",
        "AT_URL": "/media/url", "AT_MIME_TYPE": "/media/mimetype", "AT_FILE_NAME": "/media/filename", "AT_CONTACT": "/from",
        "AT_TIME": "/timestamp", "AT_ACCOUNT": "/session", "AT_FROM_ME": "/fromMe", "CHANNEL": "whatsapp",
    },
}
# Bird's platform signs with a secret of this form alone.
SECRETS = {"bird": "whsec_" + base64.b64encode(SECRET.encode()).decode()}
QUEUES = [
    "mediamill.urgent", "mediamill.audio", "mediamill.bulk", "mediamill.audio.later", "mediamill.bulk.later",
    "mediamill.catalog", "mediamill.deliver.hubspot", "mediamill.privacy", "mediamill.dead",
]


class Mill:
    """One configuration, in the environment."""

    def __init__(self, args, home, rabbit, crm, others=None):
        self.args, self.home = args, home
        self.gateway, self.simulated, self.catalog = free_port(), free_port(), free_port()
        self.account, self.faults = PROVIDERS[args.provider]
        self.secret, self.first_sent = SECRETS.get(args.provider, SECRET), int(time.time())
        self.log = open(home / "log", "ab")
        for name in ("store", "scratch"):
            (home / name).mkdir()
        settings = self.settings(rabbit, crm) | (others or {})
        self.env = os.environ | {f"MEDIAMILL_{name}": str(value) for name, value in settings.items()}
        self.process = None
        self.run("topology", "--declare")

    def settings(self, rabbit, crm):
        home = self.home
        return {
            "BROKER_URL": rabbit.url, "BROKER_RETRY_DELAYS_S": "1,2,3,5,10", "STORE_URL": f"file://{home}/store",
            "WORKER_SCRATCH_DIR": home / "scratch", "WORKER_SCRATCH_MIN_FREE_BYTES": "0",
            "GATEWAY_LISTEN": f"127.0.0.1:{self.gateway}", "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{self.gateway}",
            "CHANNELS__SUPPORT__PROVIDER": self.args.provider, "CHANNELS__SUPPORT__TENANT": "acme",
            "CHANNELS__SUPPORT__ACCOUNT": self.account, "CHANNELS__SUPPORT__TOKEN": TOKEN,
            "CHANNELS__SUPPORT__APP_SECRET": self.secret, "CHANNELS__SUPPORT__VERIFY_TOKEN": "journey-verify",
            "CHANNELS__SUPPORT__API_BASE": f"http://127.0.0.1:{self.simulated}",
            # Where 360dialog's error budget would have the account wait for half an hour, and the redirects of Twilio's and Bird's lead.
            "CHANNELS__SUPPORT__MAX_ERRORS": "10000", "SOURCE_HTTP_ALLOW_HOSTS": f"localhost:{self.simulated}",
            "CATALOG_LISTEN": f"127.0.0.1:{self.catalog}", "CATALOG_URL": f"sqlite://{home}/catalog.db",
            "LINKS_PUBLIC_URL": f"http://127.0.0.1:{self.catalog}", "LINKS_KEY": "journey-links-0123456789abcdef012",
            "PRIVACY_KEY": "journey-privacy-0123456789abcdef0", "PRIVACY_CACHE_S": "1", "PRIVACY_SWEEP_S": "0",
            "PRIVACY_AUDIT_KEY": base64.b64encode(bytes(range(32))).decode(),
            "LEDGER_URL": f"sqlite:{home}/ledger.db", "LEDGER_RETRY_DELAYS_S": "1,2,3,5,10,10,10,10",
            "DELIVER__HUBSPOT__KIND": "hubspot", "DELIVER__HUBSPOT__TOKEN": KEY, "DELIVER__HUBSPOT__URL": crm.url,
            "DELIVER__HUBSPOT__ALLOW_PRIVATE": "true", "DELIVER__HUBSPOT__READ_BACK_LAG_S": "0",
            "DELIVER__HUBSPOT__QUOTA_PERCENT": "100", "DELIVER__HUBSPOT__TIMEOUT_S": "5",
        } | {f"CHANNELS__SUPPORT__{key}": value for key, value in MORE.get(self.args.provider, {}).items()}

    def up(self):
        self.process = subprocess.Popen([self.args.program, "up"], env=self.env, stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def run(self, *words, stdin=None):
        """A command of mediamill: what it prints."""
        done = subprocess.run([self.args.program, *words], env=self.env, input=stdin, stdout=subprocess.PIPE, stderr=self.log, text=True)
        if done.returncode != 0:
            void(f"mediamill {words[0]} ended with exit code {done.returncode}")
        return done.stdout

    def simulate(self, faults):
        """The provider, with its media API and its webhooks."""
        webhook = f"http://127.0.0.1:{self.gateway}/v1/channels/support"
        words = ["simulate", self.args.provider, "--listen", f"127.0.0.1:{self.simulated}", "--webhook", webhook,
                 "--folder", self.args.folder, "--secret", self.secret, "--token", TOKEN, "--account-id", self.account,
                 "--count", str(self.args.messages), "--rate", str(self.args.rate),
                 "--first-sent", str(self.first_sent)]
        words += ["--faults", faults] if faults else []
        return subprocess.Popen([self.args.program, *words], env=self.env, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def find(self):
        """The catalogue's media, from its index."""
        words = ["find", "--tenant", "acme", "--limit", "10000", "--format", "json"]
        return [json.loads(line) for line in self.run(*words).splitlines()]

    def erase(self):
        """Everything of the sender: the certificate. Who it is stands in no command line."""
        certificate = json.loads(self.run("erase", "--tenant", "acme", "--reason", "request", stdin=f"phone={PHONE}\n"))
        self.run("audit", "verify")
        return certificate

    def media_bytes(self):
        """What is stored of media: all but the marks of what was erased, and what is kept below .catalog/."""
        left = 0
        for path in pathlib.Path(self.home, "store").rglob("*"):
            inside = path.relative_to(self.home / "store").parts
            if not path.is_file() or inside[0] == ".catalog":
                continue
            is_mark = path.name == "manifest.json" and json.loads(path.read_bytes()).get("state") == "erased"
            left += 0 if is_mark else path.stat().st_size
        return left
