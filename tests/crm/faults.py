"""The fault plan that all fakes share.

A rule is JSON: {"method": "POST", "path": regular expression over the path, "skip": 0, "times": 1, "fault": …, …}. The first
rule that matches and is not used up works. Faults:

    status        answers with `status`, `body`, `headers`; nothing is written
    delay         waits `seconds` first
    drop-before   the connection ends, nothing is written
    drop-after    all is written, the connection ends without an answer
    hold-before   waits for a release before anything is written; where the client is gone by then, nothing is
    hold-after    all is written, the answer waits for a release
    slow-body     the answer's body comes byte by byte over `seconds`
    expire        the access token that the request carries has ended just before
    revoke        the grant is revoked, for good
    quota, lock   what the CRM says of an empty quota and of a locked record; nothing is written
    duplicate     another client writes the same record just before
"""

import re
import threading

FAULTS = {
    "status", "delay", "drop-before", "drop-after", "hold-before", "hold-after", "slow-body", "expire", "revoke", "quota", "lock",
    "duplicate",
}


class Rule:
    """One line of the plan."""

    def __init__(self, text):
        self.fault = text["fault"]
        if self.fault not in FAULTS:
            raise ValueError(f"there is no fault {self.fault}")
        self.method = text.get("method")
        self.path = re.compile(text.get("path", ""))
        self.skip = text.get("skip", 0)
        self.times = text.get("times", 1)
        self.status = text.get("status", 503)
        self.body = text.get("body")
        self.headers = text.get("headers", {})
        self.seconds = text.get("seconds", 0.1)
        self.used = 0

    def takes(self, request):
        """Whether it works on this request; counts."""
        if self.method not in (None, request.method) or not self.path.search(request.path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.used >= self.times:
            return False
        self.used += 1
        return True


class Plan:
    """The rules, and who is held."""

    def __init__(self):
        self.rules = []
        self.held = 0
        self.changed = threading.Condition()
        self.epoch = 0

    def replace(self, texts):
        """Other rules; ValueError where one is none."""
        self.rules = [Rule(text) for text in texts]

    def next(self, request):
        """The rule for this request, if any."""
        return next((rule for rule in self.rules if rule.takes(request)), None)

    def hold(self, seconds=60):
        """Waits for the next release. Ends after a minute, so that nothing hangs for ever."""
        with self.changed:
            epoch = self.epoch
            self.held += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.epoch != epoch, timeout=seconds)
            self.held -= 1

    def release(self):
        """All who are held go on."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()
