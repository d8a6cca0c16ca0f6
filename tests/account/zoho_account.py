"""Zoho CRM, read by its own SDK."""

import tempfile

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.attachments import AttachmentsOperations, GetAttachmentsParam
from zohocrmsdk.src.com.zoho.crm.api.dc import (au_data_center, ca_data_center, cn_data_center, eu_data_center, in_data_center,
                                                jp_data_center, sa_data_center, us_data_center)
from zohocrmsdk.src.com.zoho.crm.api.dc.data_center import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper, DeleteRecordParam, Field, Record, RecordOperations
from zohocrmsdk.src.com.zoho.crm.api.related_records import GetRelatedRecordsParam, RelatedRecordsOperations
from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig

CENTRES = {"us": us_data_center.USDataCenter, "eu": eu_data_center.EUDataCenter, "in": in_data_center.INDataCenter,
           "au": au_data_center.AUDataCenter, "cn": cn_data_center.CNDataCenter, "jp": jp_data_center.JPDataCenter,
           "sa": sa_data_center.SADataCenter, "ca": ca_data_center.CADataCenter}


def parameters(*pairs):
    found = ParameterMap()
    for param, value in pairs:
        found.add(param, value)
    return found


def initialize(keys, folder):
    """The SDK, with the data centre of the account, or with the fake at `url` as its data centre."""
    url = keys.get("url")
    environment = DataCenter.Environment(url, url + "/oauth/v2/token", url) if url else CENTRES[keys["account"]].PRODUCTION()
    token = OAuthToken(client_id=keys["client_id"], client_secret=keys["client_secret"], refresh_token=keys["refresh_token"])
    Initializer.initialize(environment, token, FileStore(folder + "/tokens"), SDKConfig(pick_list_validation=False), folder,
                           Logger.get_instance(Logger.Levels.NOTSET))


def listed(answer):
    """The records of an answer; none where it says that there is nothing."""
    if answer is None or answer.get_status_code() in (204, 304):
        return []
    body = answer.get_object()
    if not hasattr(body, "get_data"):
        raise SystemExit(f"Zoho answers with {body.get_code().get_value()}")
    return body.get_data()


class Account:
    def __init__(self, keys):
        self.folder = tempfile.TemporaryDirectory()
        initialize(keys, self.folder.name)
        self.contacts = RecordOperations("Contacts")
        self.seen = set()

    def make(self):
        record, body = Record(), BodyWrapper()
        record.add_field_value(Field.Contacts.last_name(), "mediamill test")
        body.set_data([record])
        body.set_trigger([])
        self.contact = int(self.contacts.create_records(body).get_object().get_data()[0].get_details()["id"])
        return {"zoho_contact": str(self.contact)}

    def notes(self):
        related = RelatedRecordsOperations("Notes", "Contacts")
        fields = parameters((GetRelatedRecordsParam.fields, "id,Note_Content"))
        notes = listed(related.get_related_records(self.contact, fields))
        self.seen.update(note.get_id() for note in notes)
        return [note.get_key_value("Note_Content") or "" for note in notes]

    def sizes(self, note):
        answer = AttachmentsOperations().get_attachments(note, "Notes", parameters((GetAttachmentsParam.fields, "id,File_Name,Size")))
        if answer is not None and answer.get_status_code() in (400, 404):
            # The note itself is not there.
            return []
        return [int(file.get_size()) for file in listed(answer)]

    def files(self):
        self.notes()
        return [size for note in self.seen for size in self.sizes(note)]

    def remove(self):
        self.contacts.delete_record(self.contact, parameters((DeleteRecordParam.wf_trigger, False)))
