"""The same gateway as teams write it: FastAPI, aio-pika, publisher confirms. Verifies Meta's signature over the raw body, makes a
received event of each file, answers once RabbitMQ has confirmed all. Served by uvicorn with uvloop.
"""

import asyncio
import hashlib
import hmac
import json
import os
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
from fastapi import FastAPI, Request, Response

KEY = os.environ["BENCH_KEY"].encode()
FILES = {"audio": "audio", "voice": "audio", "video": "video", "image": "image", "sticker": "image", "document": "document"}
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://gateway.example")


@asynccontextmanager
async def lifespan(app):
    connection = await aio_pika.connect_robust(os.environ["BENCH_URL"])
    channel = await connection.channel(publisher_confirms=True)
    app.state.exchange = await channel.get_exchange(os.environ["BENCH_EXCHANGE"], ensure=False)
    yield
    await connection.close()


app = FastAPI(lifespan=lifespan)


def events(webhook):
    for entry in webhook.get("entry", []):
        for change in entry.get("changes", []):
            value = change["value"]
            number = value["metadata"]["phone_number_id"]
            contacts = {contact.get("wa_id"): contact for contact in value.get("contacts", [])}
            for message in value.get("messages", []):
                if message["type"] in FILES:
                    yield event(number, contacts, message)


def event(number, contacts, message):
    file = message[message["type"]]
    kind = FILES[message["type"]]
    media_id = "whatsapp-cloud-" + hashlib.sha256(f"{number}\0{message['id']}\0{0}".encode()).hexdigest()[:32]
    sent_at = datetime.fromtimestamp(int(message["timestamp"]), UTC).isoformat()
    contact = contacts.get(message["from"], {})
    data = {
        "tenant": "acme",
        "media_id": media_id,
        "origin": {"kind": "channel", "account": "support", "media": file["id"]},
        "declared": {"mime_type": file.get("mime_type"), "sha256": file.get("sha256"), "file_name": file.get("filename")},
        "message": {
            "channel": "whatsapp",
            "direction": "inbound",
            "message_id": message["id"],
            "phone": "+" + message["from"],
            "contact_name": contact.get("profile", {}).get("name"),
            "caption": file.get("caption"),
            "voice": file.get("voice"),
            "sent_at": sent_at,
        },
    }
    event_id = str(uuid.uuid5(NAMESPACE, f"acme\0{media_id}"))
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": "gateway",
        "type": "mediamill.media.received.v1",
        "subject": media_id,
        "time": sent_at,
        "datacontenttype": "application/json",
        "data": data,
    }
    message = aio_pika.Message(
        json.dumps(body).encode(),
        content_type="application/cloudevents+json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=event_id,
    )
    return message, f"media.received.{kind}"


@app.post("/v1/channels/support")
async def take(request: Request):
    body = await request.body()
    expected = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return Response(status_code=403)
    exchange = request.app.state.exchange
    published = (exchange.publish(message, routing_key=key, mandatory=True) for message, key in events(json.loads(body)))
    await asyncio.gather(*published)
    return Response(status_code=200)
