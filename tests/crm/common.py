"""What the fakes share: tokens, phone numbers, rolling windows, fields of a describe."""

import hashlib
import itertools
import re

from message import Answer
from serve import Clock

# Country calling codes of one and two digits (ITU-T E.164); all others have three.
ONE = {"1", "7"}
TWO = set("20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 "
          "94 95 98".split())


def digits(text):
    """Only the digits."""
    return re.sub(r"\D", "", text or "")


def national(text):
    """The digits without the country code, where the number is international; else all."""
    number = digits(text)
    if not (text or "").strip().startswith("+"):
        return number
    size = 1 if number[:1] in ONE else 2 if number[:2] in TWO else 3
    return number[size:]


def md5(data):
    return hashlib.md5(data).hexdigest()


class Window:
    """How many calls there were in the last so many seconds."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.times = clock, seconds, []

    def add(self):
        """Counts one, and gives the number."""
        now = self.clock.now()
        self.times = [at for at in self.times if at > now - self.seconds]
        self.times.append(now)
        return len(self.times)


class Fake:
    """A CRM without any API yet."""

    def __init__(self):
        self.clock = Clock()
        self.url = ""
        self.revoked = False
        self.tokens = {}
        self.numbers = itertools.count(1001)
        # Seconds until a search shows what was written.
        self.lag = 0.0
        self.settings = {}

    def units(self, request):
        """What the call costs of the quota."""
        return 1

    def new_token(self, seconds):
        """An access token, valid for so long."""
        token = f"token-{next(self.numbers)}"
        self.tokens[token] = self.clock.now() + seconds
        return token

    def is_live(self, token):
        return token is not None and self.tokens.get(token, 0) > self.clock.now()

    def expire(self, request):
        """All access tokens have ended."""
        self.tokens.clear()

    def revoke(self, request):
        """The grant is gone: access tokens too."""
        self.revoked = True
        self.tokens.clear()

    def act_lag(self, seconds):
        self.lag = seconds

    def act_set(self, **settings):
        """Sizes and limits of this account."""
        self.settings.update(settings)

    def act_expire(self):
        self.expire(None)

    def act_revoke(self):
        self.revoke(None)

    def seen_by_search(self, record):
        """Whether the index has the record already."""
        return record["_written"] + self.lag <= self.clock.now()


def not_found():
    return Answer(404, {"message": "not found"})
