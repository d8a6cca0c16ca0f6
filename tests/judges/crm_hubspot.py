#!/usr/bin/env python3
"""HubSpot's own client as judge of the fake: what it asks is understood, and it understands the answers.

    target/venv-crm/bin/python tests/judges/crm_hubspot.py
"""

import pathlib
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parents[1] / "crm"))

from client import Client, concluded, judged
from hubspot import HubSpot
from hubspot.crm.contacts import (BatchInputSimplePublicObjectBatchInputUpsert, Filter, FilterGroup, PublicObjectSearchRequest,
                                  SimplePublicObjectBatchInputUpsert, SimplePublicObjectInput, SimplePublicObjectInputForCreate)
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.objects.notes import SimplePublicObjectInputForCreate as NoteInput
from hubspot.crm.properties import PropertyCreate

TIME = "2026-11-27T10:00:00Z"


def at(part, url):
    part.api_client.configuration.host = url
    return part


def contacts(hub, to):
    basic, search, batch = (to(hub.crm.contacts.basic_api), to(hub.crm.contacts.search_api), to(hub.crm.contacts.batch_api))
    made = basic.create(SimplePublicObjectInputForCreate(properties={"email": "ann@example.test", "phone": "+5511999990001"}))
    judged("a contact is created", made.properties["email"] == "ann@example.test" and made.id)
    judged("and read", basic.get_by_id(made.id, properties=["phone"]).properties == {"phone": "+5511999990001"})
    changed = basic.update(made.id, SimplePublicObjectInput(properties={"firstname": "Ann"}))
    judged("and changed", changed.properties["firstname"] == "Ann" and changed.updated_at.year >= 2026)
    wanted = Filter(property_name="hs_searchable_calculated_phone_number", operator="EQ", value="11999990001")
    found = search.do_search(PublicObjectSearchRequest(filter_groups=[FilterGroup(filters=[wanted])], properties=["phone"], limit=10,
                                                       after="0", sorts=[]))
    judged("and found by its number", found.total == 1 and found.results[0].id == made.id)
    try:
        basic.create(SimplePublicObjectInputForCreate(properties={"email": "ann@example.test"}))
        judged("a second one is refused", False)
    except ApiException as error:
        judged("a second one is refused", error.status == 409 and made.id in error.body)
    to(hub.crm.properties.core_api).create("contacts", PropertyCreate(
        name="media_key", label="Media", type="string", field_type="text", group_name="information", has_unique_value=True))
    one = SimplePublicObjectBatchInputUpsert(id="k1", id_property="media_key", properties={"firstname": "Cy"})
    both = [batch.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=[one])).results[0] for _ in range(2)]
    judged("an upsert makes one record", (both[0].new, both[1].new, both[0].id) == (True, False, both[1].id))
    return made.id


def notes(hub, to, crm, contact):
    with tempfile.NamedTemporaryFile(suffix=".mp3") as sound:
        sound.write(b"ID3sound")
        sound.flush()
        file = to(hub.files.files_api).upload(file=sound.name, file_name="note.mp3", folder_path="/mediamill",
                                              options='{"access":"PRIVATE"}')
    judged("a file is uploaded", file.access == "PRIVATE" and file.type == "AUDIO" and file.size == 8)
    signed = to(hub.files.files_api).get_signed_url(file.id)
    judged("its signed URL gives the bytes", crm.call("GET", signed.url.removeprefix(crm.url)).body == b"ID3sound")
    body = {"hs_timestamp": TIME, "hs_note_body": "<p>x</p>", "hs_attachment_ids": file.id}
    to_contact = {"to": {"id": contact}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]}
    note = to(hub.crm.objects.notes.basic_api).create(NoteInput(properties=body, associations=[to_contact]))
    judged("a note is created with a file", note.properties["hs_attachment_ids"] == file.id)
    association = to(hub.crm.associations.v4.basic_api)
    association.create_default("notes", note.id, "contacts", contact)
    page = association.get_page("contacts", contact, "notes")
    judged("and stands with the contact, once", [str(item.to_object_id) for item in page.results] == [note.id])
    to(hub.crm.objects.notes.basic_api).archive(note.id)
    judged("and is archived", all(item["archived"] for item in crm.state()["objects"]["notes"]))
    to(hub.files.files_api).delete(file.id)
    judged("and its file deleted", crm.state()["files"][0]["deleted"])


def main():
    crm = Client("hubspot", Authorization="Bearer pat-test-key")
    crm.act("set", search_per_s=1000)
    hub = HubSpot(access_token="pat-test-key")
    to = lambda part: at(part, crm.url)
    contact = contacts(hub, to)
    notes(hub, to, crm, contact)
    return concluded()


sys.exit(main())
