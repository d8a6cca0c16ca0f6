"""Objects of an org and their fields: type, length, whether it is an external id."""

import re

from message import Refused

PREFIX = {"Account": "001", "Contact": "003", "Lead": "00Q", "Opportunity": "006", "Case": "500", "Task": "00T", "ContentVersion": "068",
          "ContentDocument": "069", "ContentDocumentLink": "06A", "Mediamill_Media__c": "a00", "Note": "002"}


def text(length=255, **more):
    return {"type": "string", "length": length, **more}


def pick(*options):
    return {"type": "picklist", "restricted": True, "options": options}


REFERENCE, TIME, DATE, NUMBER, FLAG = ({"type": kind} for kind in ("reference", "datetime", "date", "double", "boolean"))
PERSON = {"FirstName": text(40), "LastName": text(80, required=True), "Email": text(80), "Phone": text(40), "MobilePhone": text(40),
          "Description": text(32000), "OwnerId": REFERENCE}
FIELDS = {
    "Account": {"Name": text(required=True), "Phone": text(40)},
    "Contact": {**PERSON, "HomePhone": text(40), "OtherPhone": text(40), "AccountId": REFERENCE, "Department": text(80)},
    "Lead": {**PERSON, "Company": text(required=True), "IsConverted": FLAG},
    "Opportunity": {"Name": text(120, required=True), "StageName": text(required=True), "CloseDate": {**DATE, "required": True},
                    "AccountId": REFERENCE},
    "Case": {"Subject": text(), "Description": text(32000), "Status": text(), "ContactId": REFERENCE, "CaseNumber": text(30)},
    "Task": {"WhoId": REFERENCE, "WhatId": REFERENCE, "Subject": text(), "Description": text(32000), "Status": text(),
             "Priority": text(), "ActivityDate": DATE, "TaskSubtype": pick("Task", "Call", "Email"), "OwnerId": REFERENCE,
             "CallType": pick("Inbound", "Outbound", "Internal"), "CallDurationInSeconds": NUMBER, "CallObject": text(),
             "CallDisposition": text()},
    "ContentVersion": {"Title": text(), "PathOnClient": text(500, required=True), "Description": text(1000), "ContentUrl": text(1333),
                       "FirstPublishLocationId": REFERENCE, "ContentDocumentId": REFERENCE, "VersionData": text(1 << 40),
                       "Checksum": text(50, read_only=True), "FileExtension": text(40, read_only=True),
                       "FileType": text(20, read_only=True), "ContentSize": {**NUMBER, "read_only": True}, "Origin": text(1),
                       "SharingPrivacy": text(1), "IsLatest": {**FLAG, "read_only": True}, "ReasonForChange": text(1000)},
    "ContentDocument": {"Title": text(), "LatestPublishedVersionId": REFERENCE},
    "ContentDocumentLink": {"ContentDocumentId": {**REFERENCE, "required": True}, "LinkedEntityId": {**REFERENCE, "required": True},
                            "ShareType": pick("V", "C", "I"), "Visibility": pick("AllUsers", "InternalUsers", "SharedUsers")},
}
PACKAGE = {
    "Media_Key__c": text(64, external=True, unique=True), "Name": text(80), "Contact__c": REFERENCE, "Lead__c": REFERENCE,
    "Opportunity__c": REFERENCE, "Case__c": REFERENCE, "Account__c": REFERENCE, "Kind__c": text(40), "Outcome__c": text(40),
    "Link__c": text(1333), "Summary__c": text(32000), "Received_At__c": TIME, "Duration_Seconds__c": NUMBER, "Transcript__c": text(32000),
}
SYSTEM = {"Id": REFERENCE, "IsDeleted": FLAG, "CreatedDate": TIME, "LastModifiedDate": TIME, "SystemModstamp": TIME}


def check(fields, name, body, refuse, new):
    """Refuses what the org refuses: unknown and read-only fields, texts that are too long, choices, types, what is missing."""
    for key, value in body.items():
        field = fields.get(key)
        if field is None:
            raise Refused(refuse(400, "INVALID_FIELD", f"No such column '{key}' on sobject of type {name}"))
        if field.get("read_only") or key in SYSTEM:
            raise Refused(refuse(400, "INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {key}.", [key]))
        if value is not None:
            check_value(field, key, value, refuse)
    missing = [key for key, field in fields.items() if field.get("required") and body.get(key) in (None, "")]
    if name == "ContentVersion" and body.get("ContentUrl"):
        missing = []
    if new and missing:
        raise Refused(refuse(400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing))


def check_value(field, key, value, refuse):
    kind = field["type"]
    if kind in ("string", "picklist") and not isinstance(value, str):
        raise Refused(refuse(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of string from VALUE {value!r}"))
    if kind == "string" and len(value.encode("utf-16-le")) // 2 > field["length"]:
        raise Refused(refuse(400, "STRING_TOO_LONG", f"{key}: data value too large: {value[:20]} (max length={field['length']})", [key]))
    if kind == "picklist" and value not in field["options"]:
        raise Refused(refuse(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"{key}: bad value for restricted picklist field: {value}",
                             [key]))
    if kind == "double" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise Refused(refuse(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of double from VALUE {value!r}"))
    if kind == "datetime" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)", str(value)):
        raise Refused(refuse(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of datetime from VALUE_STRING value {value}"))
    if kind == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
        raise Refused(refuse(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of date from VALUE_STRING value {value}"))
    if kind == "reference" and not re.fullmatch(r"[0-9a-zA-Z]{15}(?:[0-9a-zA-Z]{3})?", str(value)):
        raise Refused(refuse(400, "MALFORMED_ID", f"{key}: id value of incorrect type: {value}", [key]))
