#!/usr/bin/env python3
"""Zoho's own SDK as judge of the fake: what it asks is understood, and it understands the answers.

    target/venv-crm/bin/python tests/judges/crm_zoho.py
"""

import pathlib
import sys
import tempfile

sys.path += [str(pathlib.Path(__file__).parents[1] / name) for name in ("crm", "account")]

from client import Client, concluded, judged
from zoho_account import initialize, parameters
from zohocrmsdk.src.com.zoho.crm.api.attachments import AttachmentsOperations, GetAttachmentsParam, UploadUrlAttachmentsParam
from zohocrmsdk.src.com.zoho.crm.api.attachments import FileBodyWrapper as AttachmentBody
from zohocrmsdk.src.com.zoho.crm.api.modules import MinifiedModule
from zohocrmsdk.src.com.zoho.crm.api.notes import BodyWrapper as NotesBody
from zohocrmsdk.src.com.zoho.crm.api.notes import Note, NotesOperations, ParentId
from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper, Field, Record, RecordOperations, SearchRecordsParam
from zohocrmsdk.src.com.zoho.crm.api.tags import NewTagRequestWrapper, Tag, TagsOperations
from zohocrmsdk.src.com.zoho.crm.api.util import StreamWrapper


def contact(name, phone):
    record = Record()
    record.add_field_value(Field.Contacts.last_name(), name)
    record.add_field_value(Field.Contacts.mobile(), phone)
    record.add_key_value("Media_Key", "k1")
    return record


def status_of(answer):
    """Status and, for each record, its code."""
    return answer.get_status_code(), [item.get_code().get_value() for item in answer.get_object().get_data()]


def records():
    contacts = RecordOperations("Contacts")
    body = BodyWrapper()
    body.set_data([contact("Ann", "+5511999990001")])
    body.set_duplicate_check_fields(["Media_Key"])
    body.set_trigger([])
    first, second = contacts.upsert_records(body), contacts.upsert_records(body)
    judged("an upsert is 201, then 200", [status_of(first), status_of(second)] == [(201, ["SUCCESS"]), (200, ["SUCCESS"])])
    id = first.get_object().get_data()[0].get_details()["id"]
    judged("it is the same record", second.get_object().get_data()[0].get_details()["id"] == id)
    found = contacts.search_records(parameters((SearchRecordsParam.phone, "11999990001")))
    judged("it is found by phone", [record.get_id() for record in found.get_object().get_data()] == [int(id)])
    none = contacts.search_records(parameters((SearchRecordsParam.phone, "4155550100")))
    judged("nothing found is 204", none.get_status_code() == 204)
    return id


def notes(id, crm, folder):
    note, parent, module = Note(), ParentId(), MinifiedModule()
    module.set_api_name("Contacts")
    parent.set_module(module)
    parent.set_id(int(id))
    note.set_parent_id(parent)
    note.set_note_title("Voice")
    note.set_note_content("x")
    body = NotesBody()
    body.set_data([note])
    made = NotesOperations().create_notes(body)
    judged("a note is created", status_of(made) == (201, ["SUCCESS"]))
    note_id = made.get_object().get_data()[0].get_details()["id"]
    attachments, file = AttachmentsOperations(), AttachmentBody()
    pathlib.Path(folder, "note.mp3").write_bytes(b"ID3sound")
    file.set_file(StreamWrapper(file_path=folder + "/note.mp3"))
    sent = attachments.upload_attachments(int(note_id), "Notes", file)
    judged("a file is attached to it", status_of(sent) == (200, ["SUCCESS"]))
    link = attachments.upload_url_attachments(int(note_id), "Notes", parameters(
        (UploadUrlAttachmentsParam.attachmenturl, "https://x.test/a"), (UploadUrlAttachmentsParam.title, "a")))
    judged("and a link", status_of(link) == (200, ["SUCCESS"]))
    listed = attachments.get_attachments(int(note_id), "Notes", parameters((GetAttachmentsParam.fields, "id,File_Name,Size")))
    judged("both are listed", [item.get_file_name() for item in listed.get_object().get_data()] == ["note.mp3", "a"])
    id = int(crm.state()["attachments"][0]["id"])
    judged("a file is deleted", status_of(attachments.delete_attachment(id, int(note_id), "Notes")) == (200, ["SUCCESS"]))
    judged("a note is deleted", status_of(NotesOperations().delete_note(int(note_id))) == (200, ["SUCCESS"]))


def tags(id):
    tag, wrapper = Tag(), NewTagRequestWrapper()
    tag.set_name("voice")
    wrapper.set_tags([tag])
    wrapper.set_over_write(False)
    judged("a tag is added", status_of(TagsOperations().add_tags("Contacts", int(id), wrapper)) == (200, ["SUCCESS"]))


def main():
    crm = Client("zoho")
    crm.act("field", type="Contacts", name="Media_Key", unique=True)
    with tempfile.TemporaryDirectory() as folder:
        initialize({"url": crm.url, "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-1"}, folder)
        id = records()
        notes(id, crm, folder)
        tags(id)
    judged("one token was enough", len(crm.fake.refreshes.times) == 1)
    return concluded()


sys.exit(main())
