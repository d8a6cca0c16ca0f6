"""What goes in and what comes out, as it happens."""

import collections
import json
import threading
import time

import pika


class Listener(threading.Thread):
    """Everything that is published with one of these keys, from a queue of its own that outlives the node."""

    def __init__(self, rabbit, keys):
        super().__init__(daemon=True)
        self.rabbit, self.keys, self.bound, self.over = rabbit, keys, threading.Event(), False

    def take(self, event):
        raise NotImplementedError

    def run(self):
        while not self.over:
            connection = self.rabbit.connect()
            try:
                self.listen(connection)
                connection.close()
            except (pika.exceptions.AMQPError, OSError):
                # The node has ended; what was not acknowledged comes again.
                time.sleep(0.2)

    def listen(self, connection):
        channel = connection.channel()
        queue = channel.queue_declare("ledger", durable=True, arguments={"x-queue-type": "quorum"}).method.queue
        for key in self.keys:
            channel.queue_bind(queue, "mediamill", key)
        self.bound.set()
        while not self.over:
            for method, _, body in channel.consume(queue, inactivity_timeout=0.2):
                if method is None:
                    break
                self.take(json.loads(body))
                channel.basic_ack(method.delivery_tag)


class Outcomes(Listener):
    """Every event that leaves the pipeline."""

    def __init__(self, rabbit):
        super().__init__(rabbit, ("media.normalized.#", "media.rejected", "media.failed", "message.#"))
        self.events = []

    def take(self, event):
        self.events.append(event)

    def about(self):
        """Events by media and by their own ids: a copy of one is not another."""
        found = collections.defaultdict(dict)
        for event in list(self.events):
            found[event["data"]["media_id"]].setdefault(event["id"], event)
        return found


class Delivered(threading.Thread):
    """The messages that the gateway has taken, as the provider was told."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.lines = process, []

    def run(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
