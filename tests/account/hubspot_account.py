"""HubSpot, read by its own client."""

from hubspot import HubSpot
from hubspot.crm.contacts import SimplePublicObjectInputForCreate
from hubspot.crm.objects.notes.exceptions import ApiException as NoNote
from hubspot.files.exceptions import ApiException as NoFile


class Account:
    def __init__(self, keys):
        self.url = keys.get("url")
        self.hub = HubSpot(access_token=keys["token"])
        self.seen = set()

    def at(self, part):
        if self.url:
            part.api_client.configuration.host = self.url
        return part

    def make(self):
        basic = self.at(self.hub.crm.contacts.basic_api)
        self.contact = basic.create(SimplePublicObjectInputForCreate(properties={"firstname": "mediamill", "lastname": "test"})).id
        return {"hubspot_contact": self.contact}

    def notes(self):
        page = self.at(self.hub.crm.associations.v4.basic_api).get_page("contacts", self.contact, "notes", limit=500)
        found = []
        for item in page.results:
            try:
                wanted = ["hs_note_body", "hs_attachment_ids"]
                note = self.at(self.hub.crm.objects.notes.basic_api).get_by_id(str(item.to_object_id), properties=wanted)
            except NoNote as error:
                if error.status != 404:
                    raise
                continue
            self.seen.update(id for id in (note.properties.get("hs_attachment_ids") or "").split(";") if id)
            found.append(note.properties.get("hs_note_body") or "")
        return found

    def size(self, id):
        """None where the file is not there."""
        try:
            return self.at(self.hub.files.files_api).get_by_id(id).size
        except NoFile as error:
            if error.status != 404:
                raise
            return None

    def files(self):
        self.notes()
        return [size for size in map(self.size, self.seen) if size is not None]

    def remove(self):
        self.at(self.hub.crm.contacts.basic_api).archive(self.contact)
