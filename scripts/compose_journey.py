"""A customer's files on their way through every role of compose.yaml, and gone again: simulated WhatsApp, gateway, worker,
catalogue, deliver, an imitated HubSpot, the privacy role."""

import collections
import json
import pathlib
import sys
import time
import uuid

import pika

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "journey"))

import balance  # noqa: E402
from crm import KEY, LOST_ANSWERS, PHONE, Crm  # noqa: E402
from watch import Delivered  # noqa: E402

ACCOUNT, SECRET, TOKEN, TENANT = "800000000000001", "smoke-secret", "smoke-token", "smoke"
# Each fixture once.
FAULTS = "unavailable,duplicates,reordered,noise"
BROKER = "amqp://mediamill:mediamill@127.0.0.1:5672/%2f"

CONFIG = f"""
[access.agent]
tenants = ["*"]

[channels.support]
provider = "whatsapp-cloud"
tenant = "{TENANT}"
account = "{ACCOUNT}"
token = "{TOKEN}"
app_secret = "{SECRET}"
verify_token = "smoke-verify"
# The provider is played in the worker's own network namespace.
api_base = "http://127.0.0.1:8089"
# The provider fails twice for each file: by default the account would have to wait for half an hour.
max_errors = 10000

[deliver.hubspot]
kind = "hubspot"
token = "{KEY}"
url = "http://crm:8088"
allow_private = true
tenants = ["{TENANT}"]
read_back_lag_s = 0
quota_percent = 100
"""


def simulate(docker, worker, image):
    """The provider sends every fixture once; each message that was taken is a line."""
    count = len(list((ROOT / "fixtures").iterdir()))
    words = [
        "run", "--rm", "--name", "mediamill-smoke-provider", "--network", f"container:{worker}",
        "--volume", f"{ROOT / 'fixtures'}:/fixtures:ro", image, "simulate", "whatsapp-cloud", "--folder", "/fixtures",
        "--listen", "127.0.0.1:8089", "--webhook", "http://gateway:8080/v1/channels/support", "--secret", SECRET,
        "--token", TOKEN, "--account-id", ACCOUNT, "--count", str(count), "--rate", "10", "--faults", FAULTS,
    ]
    process = docker(*words)
    delivered = Delivered(process)
    delivered.start()
    return process, delivered, count


def publish_erase():
    """What a privacy officer's program would publish: everything of the sender, in an event of which the broker confirms that a
    queue has it."""
    event = {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "compose-smoke", "type": "mediamill.privacy.erase.v1",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": {"tenant": TENANT, "contact": {"phone": PHONE}, "reason": "request"},
    }
    connection = pika.BlockingConnection(pika.URLParameters(BROKER))
    channel = connection.channel()
    channel.confirm_delivery()
    kind = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    channel.basic_publish("mediamill", "privacy.erase", json.dumps(event).encode(), kind, mandatory=True)
    connection.close()


class Journey:
    """What is asked of the running services. `find` gives the rows of the catalogue, `until` waits, `expect` judges."""

    def __init__(self, crm_url, find, until, expect):
        self.crm, self.find, self.until, self.expect = Crm(crm_url), find, until, expect

    def arrive(self, delivered, count):
        self.until("taken webhooks", 120, lambda: len(delivered.lines) >= count)
        media = {balance.media_id("whatsapp-cloud", line) for line in delivered.lines}
        self.expect(len(media) == count, f"the gateway took {len(media)} media in {sum(line['attempts'] for line in delivered.lines)} webhooks")
        self.until("notes", 300, lambda: sum(self.crm.markers().values()) >= count)
        # What would come twice has some time to do so.
        time.sleep(5)
        markers = self.crm.markers()
        twice = {marker: times for marker, times in markers.items() if times != 1}
        self.expect(len(markers) == count and not twice, f"{len(markers)} notes, one of each media {twice or ''}")
        lost = self.crm.met("drop-after")
        self.expect(lost == LOST_ANSWERS, f"{lost} of the answers to them were lost")
        self.until("rows in the catalogue", 60, lambda: len(self.find(TENANT)) >= count)
        rows = collections.Counter(row["media_id"] for row in self.find(TENANT))
        wrong = [name for name in media | set(rows) if rows[name] != 1 or name not in media]
        states = collections.Counter(row["state"] for row in self.find(TENANT))
        self.expect(not wrong and not states["failed"], f"one row of each media in the catalogue: {dict(states)} {wrong or ''}")
        links = self.crm.links()
        wrong = balance.links(links, 200)
        self.expect(links and not wrong, f"{len(links)} links of notes open their page {wrong[:1] or ''}")
        return links

    def leave(self, links):
        publish_erase()
        self.until("notes and files gone from the CRM", 180, lambda: not self.crm.links() and not self.crm.files())
        self.until("links that say that they are erased", 60, lambda: not balance.links(links, 410))
        left = [row for row in self.find(TENANT) if row["state"] != "erased"]
        self.expect(not left, f"the sender is erased: {len(links)} links answer 410, {len(left)} rows are left")


def stop(docker, process):
    docker("kill", "mediamill-smoke-provider").wait()
    process.wait()


__all__ = ["CONFIG", "Journey", "simulate", "stop"]
