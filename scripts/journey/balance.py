"""What does not balance: each rule is a function that says it in lines."""

import collections
import hashlib
import urllib.error
import urllib.request


def media_id(provider, line):
    name = "\0".join([line["account_id"], line["message_id"], line["part"] or "0"])
    return f"{provider}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def outcomes(args, store, delivered, seen):
    """One outcome of each media of a webhook that was answered with success; what was normalized is stored as its event says."""
    wrong, by_file = [], collections.defaultdict(set)
    expected = {media_id(args.provider, line): line["file"] for line in delivered.lines}
    if len(expected) != args.messages:
        wrong.append(f"{args.messages} messages were sent, {len(expected)} media were taken")
    found = seen.about()
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
            wrong += stored(store, events[0]["data"])
    wrong += [f"{media} was in no webhook" for media in found if media not in expected]
    wrong += [f"{file} ended as {sorted(kinds)}" for file, kinds in by_file.items() if len(kinds) != 1]
    return wrong, collections.Counter(kind for kinds in by_file.values() for kind in kinds)


def stored(store, data):
    wrong = []
    for asset in data["assets"]:
        path = store / asset["key"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != asset["sha256"]:
            wrong.append(f"{asset['key']} is not stored as its event says")
    return wrong


def notes(crm, seen):
    """One note of each outcome, by the marker in it."""
    events = [event for about in seen.about().values() for event in about.values()]
    expected = {event["id"].replace("-", "")[:12]: event for event in events}
    found = crm.markers()
    wrong = [f"{expected[marker]['data']['media_id']} has {found[marker]} notes" for marker in expected if found[marker] != 1]
    wrong += [f"a note of {marker} belongs to no event" for marker in found if marker not in expected]
    return wrong


def rows(found, seen):
    """One row of the catalogue for each media."""
    listed = collections.Counter(row["media_id"] for row in found)
    media = set(seen.about())
    return [f"{name} has {listed[name]} rows in the catalogue" for name in media | set(listed) if listed[name] != 1 or name not in media]


def links(of_notes, status):
    """Every link of a note is answered so: with the page of its media, or that it is erased."""
    wrong = []
    for link in of_notes:
        answered = status_of(link)
        if answered != status:
            wrong.append(f"a note's link is answered with {answered} instead of {status}")
    return wrong


def status_of(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
