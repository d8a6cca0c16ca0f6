"""HubSpot as the tests imitate it (tests/crm), with a contact whose number is the sender's."""

import collections
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "crm"
# What `mediamill simulate` sends as.
PHONE = "+5511999990000"
KEY = "pat-test-key"
# The connection ends after a note was made, so that the client cannot know of it.
LOST_ANSWERS = 3


class Crm:
    """A process with an HTTP port, which ends with its standard input; or one that somebody else has started, at this URL."""

    def __init__(self, url=None):
        self.process, self.url = None, url
        if url is None:
            self.process = subprocess.Popen([sys.executable, TESTS, "hubspot"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.url = json.loads(self.process.stdout.readline())["url"]
        self.ask("POST", "act", {"act": "create", "type": "contacts", "properties": {"phone": PHONE}})
        self.ask("POST", "act", {"act": "set", "search_per_s": 1000, "max": 100000})

    def lose_answers(self):
        self.faults({"method": "POST", "path": "/objects/.*notes$", "skip": 1, "times": LOST_ANSWERS, "fault": "drop-after"})

    def faults(self, *rules):
        """What goes wrong from now on, as tests/crm/faults.py says; without rules nothing does."""
        self.ask("PUT", "faults", list(rules))

    def ask(self, method, what, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/__fake/{what}", data, method=method)) as answer:
            return json.load(answer)

    def state(self):
        return self.ask("GET", "state")

    def notes(self):
        """The bodies of notes, and whether each stands."""
        notes = self.state()["objects"].get("notes", [])
        return [note["properties"].get("hs_note_body") or "" for note in notes if not note["archived"]]

    def files(self):
        return sum(not file["deleted"] for file in self.state()["files"])

    def met(self, fault):
        """How many requests had this fault."""
        return sum(call["fault"] == fault for call in self.ask("GET", "calls"))

    def markers(self):
        """How often each event's marker stands in a note."""
        found = (re.search(r"mediamill ([0-9a-f]{12})", note) for note in self.notes())
        return collections.Counter(match.group(1) if match else "none" for match in found)

    def links(self):
        """Of the notes: where each media is played."""
        return [match.group(1) for note in self.notes() if (match := re.search(r'href="([^"]+)"', note))]

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
