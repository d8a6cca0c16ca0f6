#!/usr/bin/env python3
"""chatwoot-sdk as judge of the fake: what it asks is understood, and it understands the answers.

It sends no files, and its paths for one message (`/messages/{id}` without a conversation) are not those of Chatwoot's routes: deleting is not
judged.

    target/venv-crm/bin/python tests/judges/crm_chatwoot.py
"""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "crm"))

from chatwoot import ChatwootClient
from chatwoot.exceptions import ChatwootAPIError, ChatwootAuthError, ChatwootNotFoundError
from client import Client, concluded, judged


def main():
    crm = Client("chatwoot", api_access_token="cw-token")
    sdk = ChatwootClient(crm.url, "cw-token")
    judged("the profile is read", sdk.profile.get().name == "Agent")
    judged("inboxes are listed", [inbox.id for inbox in sdk.inboxes.list(1)] == [1, 2])
    made = sdk.contacts.create(account_id=1, inbox_id=1, name="Ann", phone_number="+5511999990001")
    found = sdk.contacts.search(1, "+5511999990001")
    judged("a contact is created and found by its number", len(found) == 1 and found[0].phone_number == "+5511999990001")
    contact = found[0].id
    judged("and read", sdk.contacts.get(1, contact).name == "Ann" and made is not None)
    talk = crm.act("conversation", contact=contact)["id"]
    judged("a conversation is read", sdk.conversations.get(1, talk).inbox_id == 1)
    judged("and listed for its contact", [item.id for item in sdk.contacts.conversations(1, contact)] == [talk])
    note = sdk.messages.create(account_id=1, conversation_id=talk, content="note", private=True)
    judged("a private note is made", note.private and crm.state()["sent"] == 0)
    listed = sdk.messages.list(account_id=1, conversation_id=talk)
    judged("messages are listed", [message.id for message in listed] == [note.id])
    parts = [("content", None, None, b"voice"), ("private", None, None, b"true"), ("attachments[]", "note.mp3", "audio/mpeg", b"ID3sound")]
    crm.call("POST", f"/api/v1/accounts/1/conversations/{talk}/messages", parts=parts)
    file = sdk.messages.list(account_id=1, conversation_id=talk)[1].attachments[0]
    judged("attachments are understood", (file.file_type, file.file_size) == ("audio", 8))
    for name, error, call in (
        ("what is not there", ChatwootNotFoundError, lambda: sdk.conversations.get(1, 99)),
        ("a second contact with the number", ChatwootAPIError, lambda: sdk.contacts.create(1, 1, phone_number="+5511999990001")),
        ("a wrong token", ChatwootAuthError, lambda: ChatwootClient(crm.url, "no").profile.get()),
    ):
        try:
            call()
            judged(f"{name} is {error.__name__}", False)
        except error:
            judged(f"{name} is {error.__name__}", True)
    return concluded()


sys.exit(main())
