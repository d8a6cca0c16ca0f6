"""Chatwoot as far as `deliver` uses it: contacts, conversations, messages with attachments, labels (facts: docs/deliver/fakes.md).

Account 1, `api_access_token: cw-token`. Inbox 1 is WhatsApp's, inbox 2 is an API channel.
"""

import time

from common import Fake, Window
from message import Answer, Refused

TOKEN = "cw-token"
CONTENT_MAX = 150_000
INCOMING, OUTGOING = 0, 1
DELETED = "This message was deleted"


class Chatwoot(Fake):
    """The whole account."""

    def __init__(self):
        super().__init__()
        self.settings = {"file_bytes": 40_000_000, "per_min": 3000}
        self.minute = Window(self.clock, 60)
        self.inboxes = {1: "Channel::Whatsapp", 2: "Channel::Api"}
        self.contacts, self.conversations, self.messages, self.files = {}, {}, {}, {}
        # Messages that customers got.
        self.sent = 0

    def handle(self, request):
        """One call."""
        path = request.segments
        if path[0] == "files":
            file = self.files.get(int(path[1]))
            return Answer(200, file["bytes"], content_type=file["type"]) if file else missing()
        if path[:2] != ["api", "v1"]:
            return missing()
        if self.minute.add() > self.settings["per_min"]:
            return self.quota(request)
        # Rack takes hyphens and underscores in names of headers for the same.
        token = request.headers.get("api_access_token") or request.headers.get("api-access-token")
        if token is None:
            return Answer(401, {"errors": ["You need to sign in or sign up before continuing."]})
        if token != TOKEN or self.revoked:
            return Answer(401, {"error": "Invalid Access Token"})
        if path[2:] == ["profile"]:
            return Answer(200, {"id": 1, "name": "Agent", "email": "agent@example.test", "account_id": 1, "accounts": [], "uid": "a",
                                "pubsub_token": "p", "role": "administrator", "confirmed": True})
        if path[2:4] != ["accounts", "1"] or len(path) < 5:
            return missing()
        part = {"contacts": self.contact, "conversations": self.conversation, "inboxes": self.inbox_list}.get(path[4])
        return part(request, path[5:]) if part else missing()

    # Contacts.

    def contact(self, request, rest):
        if request.method == "POST" and not rest:
            return self.create_contact(request.json())
        if rest == ["search"]:
            return self.search(request)
        contact = self.contacts.get(number(rest[0])) if rest else None
        if contact is None:
            return missing()
        if rest[1:] == ["conversations"]:
            mine = [item for item in self.conversations.values() if item["contact_id"] == contact["id"]]
            mine.sort(key=lambda item: -item["last"])
            return Answer(200, {"payload": [self.conversation_shown(item) for item in mine]})
        if request.method == "PUT":
            body = request.json()
            self.valid(body, contact)
            contact["custom_attributes"].update(body.pop("custom_attributes", {}))
            contact.update({key: value for key, value in body.items() if key in contact})
            return Answer(200, {"payload": contact})
        return Answer(200, {"payload": contact})

    def create_contact(self, body):
        self.valid(body, None)
        contact = self.make_contact(body)
        inbox = {"id": body["inbox_id"]} if "inbox_id" in body else {}
        return Answer(200, {"payload": {"contact": contact, "contact_inbox": {"inbox": inbox, "source_id": f"s{contact['id']}"}}})

    def valid(self, body, but):
        """Phone numbers are E.164; phone, email and identifier are unique in the account."""
        phone = body.get("phone_number")
        if phone and not (phone[0] == "+" and phone[1:].isdigit() and 2 <= len(phone) <= 16):
            raise Refused(Answer(422, {"message": "Phone number should be in e164 format", "attributes": ["phone_number"]}))
        for name in ("phone_number", "email", "identifier"):
            for other in self.contacts.values():
                if body.get(name) and other is not but and other[name] == body[name]:
                    raise Refused(Answer(422, {"message": f"{name} has already been taken", "attributes": [name]}))

    def make_contact(self, body):
        id = next(self.numbers)
        contact = {"id": id, "name": body.get("name", ""), "email": body.get("email"), "phone_number": body.get("phone_number"),
                   "identifier": body.get("identifier"), "thumbnail": "", "additional_attributes": {}, "blocked": False,
                   "custom_attributes": body.get("custom_attributes", {}), "created_at": int(time.time()), "contact_inboxes": [],
                   "availability_status": "offline"}
        self.contacts[id] = contact
        return contact

    def search(self, request):
        """A part of name, email, number or identifier; 15 a page."""
        text = request.query.get("q", "").strip().lower()
        if not text:
            return Answer(422, {"error": "Specify search string with parameter q"})
        names = ("name", "email", "phone_number", "identifier")
        found = [item for item in self.contacts.values() if any(text in (item[name] or "").lower() for name in names)]
        page = int(request.query.get("page", 1))
        shown = found[(page - 1) * 15 : page * 15]
        return Answer(200, {"meta": {"count": len(shown), "current_page": page, "has_more": len(found) > page * 15}, "payload": shown})

    # Conversations.

    def conversation(self, request, rest):
        if request.method == "POST" and not rest:
            body = request.json()
            contact = self.contacts.get(number(body.get("contact_id")))
            if contact is None or number(body.get("inbox_id")) not in self.inboxes:
                return missing()
            return Answer(200, self.conversation_shown(self.make_conversation(contact["id"], number(body["inbox_id"]))))
        conversation = self.conversations.get(number(rest[0])) if rest else None
        if conversation is None:
            return missing()
        if rest[1:2] == ["messages"]:
            return self.message(request, conversation, rest[2:])
        if rest[1:] == ["labels"]:
            if request.method == "POST":
                # A list replaces.
                conversation["labels"] = sorted(set(request.json()["labels"]))
            return Answer(200, {"payload": conversation["labels"]})
        if rest[1:] == ["custom_attributes"] and request.method == "POST":
            conversation["custom_attributes"] = request.json()["custom_attributes"]
            return Answer(200, {"custom_attributes": conversation["custom_attributes"]})
        return Answer(200, self.conversation_shown(conversation)) if len(rest) == 1 and request.method == "GET" else missing()

    def make_conversation(self, contact, inbox):
        # The number that people see, counted in the account.
        id = len(self.conversations) + 1
        self.conversations[id] = {"id": id, "account_id": 1, "inbox_id": inbox, "contact_id": contact, "status": "open", "labels": [],
                                  "custom_attributes": {}, "last": next(self.numbers)}
        return self.conversations[id]

    def conversation_shown(self, item):
        shown = {key: value for key, value in item.items() if key not in ("last", "contact_id")}
        return {**shown, "last_activity_at": item["last"], "meta": {"sender": self.contacts[item["contact_id"]]}, "can_reply": True, "messages": []}

    def inbox_list(self, request, rest):
        """GET /inboxes."""
        return Answer(200, {"payload": [{"id": id, "name": kind, "channel_type": kind, "channel_id": id}
                                        for id, kind in self.inboxes.items()]})

    # Messages.

    def message(self, request, conversation, rest):
        mine = [item for item in self.messages.values() if item["conversation_id"] == conversation["id"]]
        if not rest and request.method == "GET":
            # The last 20, or those before an id.
            before = number(request.query.get("before"))
            older = [item for item in mine if not before or item["id"] < before]
            return Answer(200, {"meta": {"labels": conversation["labels"]}, "payload": older[-20:]})
        if not rest and request.method == "POST":
            return self.create_message(request, conversation)
        message = next((item for item in mine if rest and item["id"] == number(rest[0])), None)
        if message is None:
            return missing()
        if request.method == "DELETE":
            # The message stays, and says that it was deleted.
            for file in message["attachments"]:
                del self.files[file["id"]]
            message.update(content=DELETED, content_attributes={"deleted": True}, attachments=[])
            return Answer(200, message)
        return Answer(403, {"error": "Message status update is only allowed for API inboxes"})

    def create_message(self, request, conversation):
        """JSON, or multipart with `attachments[]`."""
        files, fields = [], {}
        if request.media_type() == "multipart/form-data":
            try:
                parts = request.parts()
            except ValueError as error:
                return Answer(400, {"error": str(error)})
            files = [part for part in parts if part.name == "attachments[]" and part.filename]
            fields = {part.name: part.body.decode() for part in parts if part.filename is None}
        else:
            fields = request.json()
            if fields.get("attachments"):
                return Answer(422, {"message": "mismatched digest"})
        content, kind = fields.get("content") or "", fields.get("message_type", "outgoing")
        private = str(fields.get("private", "false")).lower() in ("true", "1")
        if len(content) > CONTENT_MAX:
            return Answer(422, {"message": "Validation failed: Content is too long (maximum is 150000 characters)"})
        if kind == "incoming" and self.inboxes[conversation["inbox_id"]] != "Channel::Api":
            return Answer(422, {"message": "Incoming messages are only allowed in Api inboxes"})
        if any(len(file.body) > self.settings["file_bytes"] for file in files):
            return Answer(422, {"message": "Validation failed: Attachments file size should be less than the limit"})
        message = self.make_message(conversation, content, kind, private, files)
        return Answer(200, {**message, "echo_id": fields.get("echo_id")})

    def make_message(self, conversation, content, kind="outgoing", private=False, files=()):
        id = next(self.numbers)
        message = {"id": id, "content": content, "inbox_id": conversation["inbox_id"], "conversation_id": conversation["id"],
                   "message_type": INCOMING if kind == "incoming" else OUTGOING, "content_type": "text", "status": "sent",
                   "content_attributes": {}, "created_at": int(self.clock.now()), "private": private, "source_id": None,
                   "attachments": [self.keep(id, file) for file in files]}
        self.messages[id] = message
        conversation["last"] = next(self.numbers)
        self.sent += kind == "outgoing" and not private
        return message

    def keep(self, message, file):
        id = next(self.numbers)
        type = file.content_type or "application/octet-stream"
        family = type.partition("/")[0]
        self.files[id] = {"bytes": file.body, "type": type}
        return {"id": id, "message_id": message, "account_id": 1, "file_type": family if family in ("audio", "image", "video") else "file",
                "extension": None, "data_url": f"{self.url}/files/{id}/{file.filename}", "thumb_url": "", "file_size": len(file.body)}

    # Faults.

    def quota(self, request):
        return Answer(429, b"Retry later\n", {"Retry-After": "60"}, "text/plain")

    def lock(self, request):
        return Answer(503, b"", content_type="text/html")

    def duplicate(self, request):
        """Another program writes the same message just before."""
        path = request.segments[4:]
        if request.method == "POST" and path[-1] == "messages":
            parts = {part.name: part.body.decode(errors="replace") for part in request.parts() if part.filename is None}
            self.make_message(self.conversations[int(path[1])], parts.get("content", ""), private=True)

    def state(self):
        return {"contacts": list(self.contacts.values()), "conversations": list(self.conversations.values()),
                "messages": list(self.messages.values()), "sent": self.sent}

    # What a person does.

    def act_contact(self, **fields):
        return {"id": self.make_contact(fields)["id"]}

    def act_conversation(self, contact, inbox=1):
        return {"id": self.make_conversation(contact, inbox)["id"]}

    def act_message(self, conversation, content):
        return {"id": self.make_message(self.conversations[conversation], content, "incoming")["id"]}


def number(text):
    try:
        return int(text)
    except (TypeError, ValueError):
        return 0


def missing():
    return Answer(404, {"error": "Resource could not be found"})
