"""Reads what `deliver` has written into an account of a CRM, by clients that are not ours: `python tests/account`.

The account is the destination `crm` of mediamill, by its variables: `MEDIAMILL_DELIVER__CRM__KIND`, `…__TOKEN` and so on. Requests
come as lines of JSON on standard input, an answer each on standard output:

    {"do": "make"}      makes a contact (and the conversation or ticket that notes go to); answers with the `context` of events
    {"do": "notes"}     the text of each note of that contact
    {"do": "files"}     the bytes of each file that its notes had at any time and that is still there
    {"do": "remove"}    deletes the contact and what was made with it

The contact is new, so that nothing which was in the account before is read or changed.
"""

import importlib
import json
import os
import pathlib
import sys

PREFIX = "MEDIAMILL_DELIVER__CRM__"


def secret(value):
    """What `env:NAME` or `file:PATH` stands for."""
    kind, _, rest = value.partition(":")
    if kind == "env":
        return os.environ[rest]
    if kind == "file":
        return pathlib.Path(rest).read_text().strip()
    return value


def main():
    keys = {name.removeprefix(PREFIX).lower(): secret(value) for name, value in os.environ.items() if name.startswith(PREFIX)}
    account = importlib.import_module(f"{keys['kind']}_account").Account(keys)
    for line in sys.stdin:
        print(json.dumps(getattr(account, json.loads(line)["do"])()), flush=True)


main()
