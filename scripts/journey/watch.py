"""What goes in and what comes out, as it happens."""

import collections
import json
import threading


class Outcomes(threading.Thread):
    """Every event that leaves the pipeline, from a queue of its own."""

    KEYS = ("media.normalized.#", "media.rejected", "media.failed", "message.#")

    def __init__(self, rabbit):
        super().__init__(daemon=True)
        self.rabbit, self.events, self.bound, self.over = rabbit, [], threading.Event(), False

    def run(self):
        connection = self.rabbit.connect()
        channel = connection.channel()
        queue = channel.queue_declare("journey", durable=True, arguments={"x-queue-type": "quorum"}).method.queue
        for key in self.KEYS:
            channel.queue_bind(queue, "mediamill", key)
        self.bound.set()
        while not self.over:
            for method, _, body in channel.consume(queue, inactivity_timeout=0.2):
                if method is None:
                    break
                self.events.append(json.loads(body))
                channel.basic_ack(method.delivery_tag)
        connection.close()

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
