#!/usr/bin/env python3
"""A consumer of mediamill's outcomes: applies each event once and prints what a CRM would write, one JSON object a line.

    pip install pika
    consumer.py --url amqp://guest:guest@127.0.0.1:5672/%2f --queue crm --database crm.sqlite

When the connection is lost the program ends with an error; have it started again.
"""

import argparse
import json
import sqlite3
import sys

import pika

# Routing keys of all outcomes. A service that shows sound only would bind media.normalized.audio.
KEYS = ["media.normalized.*", "media.rejected", "media.failed"]
# Messages that RabbitMQ sends ahead of our acknowledgements.
PREFETCH = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="amqp://guest:guest@127.0.0.1:5672/%2f", help="address of RabbitMQ")
    parser.add_argument("--exchange", default="mediamill", help="mediamill's exchange (its key broker.exchange)")
    parser.add_argument("--queue", default="crm", help="a queue of this consumer's own; it is declared and bound")
    parser.add_argument("--database", default="crm.sqlite", help="database of this consumer")
    parser.add_argument("--count", type=int, help="end after so many messages, repeated ones included")
    return parser.parse_args()


def declare(channel, args):
    """Declares the queue and binds it. Do this before the first request is published: an outcome that no queue takes fails."""
    # A quorum queue survives the loss of a node of RabbitMQ.
    channel.queue_declare(args.queue, durable=True, arguments={"x-queue-type": "quorum"})
    for key in KEYS:
        channel.queue_bind(args.queue, args.exchange, key)
    channel.basic_qos(prefetch_count=PREFETCH)


def record(event):
    """What a CRM would write, or None for an event of an unknown type."""
    data = event["data"]
    common = {
        "media": f"{data['tenant']}/{data['media_id']}",
        "contact": (data.get("message") or {}).get("contact_id"),
        "deal": (data.get("context") or {}).get("deal"),
    }
    kind = event["type"]
    if kind == "mediamill.media.normalized.v1":
        of_role = {asset["role"]: asset for asset in data["assets"]}
        # Pictures and documents have no playback asset: people open the original.
        shown = of_role.get("playback") or of_role.get("original") or {}
        return {
            "write": "attachment",
            "kind": data["kind"],
            "key": shown.get("key"),
            "mime_type": shown.get("mime_type"),
            "duration_ms": shown.get("duration_ms"),
            "thumbnail": of_role.get("thumbnail", {}).get("key"),
            **common,
        }
    if kind == "mediamill.media.rejected.v1":
        return {"write": "note", "code": data["code"], **common}
    if kind == "mediamill.media.failed.v1":
        # An operator may still repair this one and replay the request.
        return {"write": "pending", "code": data["code"], **common}
    return None


def apply(event, database):
    """Applies an event, unless its id was applied before. The record and the id are written in one transaction."""
    with database:
        known = database.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", [event["id"]]).rowcount == 0
        if known:
            print(f"{event['id']}: repeated, skipped", file=sys.stderr)
            return
        written = record(event)
        if written is None:
            print(f"{event['id']}: no known type, skipped: {event['type']}", file=sys.stderr)
            return
        # In a CRM this row would be the change of a contact, deal or ticket.
        database.execute("INSERT INTO records (record) VALUES (?)", [json.dumps(written)])
    print(json.dumps(written), flush=True)


def main():
    args = arguments()
    database = sqlite3.connect(args.database)
    with database:
        database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
        database.execute("CREATE TABLE IF NOT EXISTS records (record TEXT NOT NULL)")
    connection = pika.BlockingConnection(pika.URLParameters(args.url))
    channel = connection.channel()
    declare(channel, args)
    handled = 0
    for delivery, _properties, body in channel.consume(args.queue):
        try:
            event = json.loads(body)
        except ValueError as error:
            print(f"not JSON, rejected: {error}", file=sys.stderr)
            channel.basic_reject(delivery.delivery_tag, requeue=False)
        else:
            apply(event, database)
            # Only now: a crash before this line has the event delivered again, and its id is known then.
            channel.basic_ack(delivery.delivery_tag)
        handled += 1
        if handled == args.count:
            break
    channel.cancel()
    connection.close()


main()
