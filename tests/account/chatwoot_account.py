"""Chatwoot, read by chatwoot-sdk, in an inbox of the kind API: nothing that is sent there reaches a person."""

from chatwoot import ChatwootClient


class Account:
    def __init__(self, keys):
        self.sdk = ChatwootClient(keys.get("url") or "https://app.chatwoot.com", keys["token"])
        self.account = int(keys["account"])

    def make(self):
        inboxes = [inbox for inbox in self.sdk.inboxes.list(self.account) if inbox.channel_type == "Channel::Api"]
        if not inboxes:
            raise SystemExit("the account has no inbox of the kind API")
        made = self.sdk.contacts.create(self.account, inboxes[0].id, name="mediamill test")
        self.contact = made.contact.id
        talk = self.sdk.conversations.create(self.account, made.contact_inbox.source_id, inboxes[0].id, self.contact)
        self.talk = talk.id
        return {"conversation": self.talk}

    def messages(self):
        """The newest 20: the client asks for no others."""
        return self.sdk.messages.list(self.account, self.talk)

    def notes(self):
        return [message.content or "" for message in self.messages()]

    def files(self):
        return [file.file_size for message in self.messages() for file in message.attachments]

    def remove(self):
        self.sdk.contacts.delete(self.account, self.contact)
