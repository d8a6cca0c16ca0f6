"""sObjects: create, read, change, upsert by an external id, delete; files as ContentVersion."""

import base64
import datetime
import json
import re

import fake_salesforce
from common import md5
from message import Answer, Refused
from salesforce_fields import FIELDS, PACKAGE, PREFIX, SYSTEM, check


def refuse(*args):
    return fake_salesforce.error(*args)


NO_RESOURCE = ("NOT_FOUND", "The requested resource does not exist")


class Objects:
    """All records of the org."""

    def __init__(self, org):
        self.org = org
        self.fields = {name: {**SYSTEM, **fields} for name, fields in FIELDS.items()}
        self.records = {name: {} for name in self.fields}
        self.data = {}

    def install(self):
        """What the package of mediamill adds."""
        self.fields["Mediamill_Media__c"] = {**SYSTEM, **PACKAGE}
        self.fields["Contact"]["Mediamill_Phone__c"] = {"type": "string", "length": 40, "external": True}
        self.records["Mediamill_Media__c"] = {}

    def visible(self, name):
        """Fields that the integration's user may see; others do not exist for it."""
        hidden = self.org.settings["hidden"]
        return {key: field for key, field in self.fields[name].items() if f"{name}.{key}" not in hidden}

    # Paths.

    def route(self, request, version, path):
        """Below /sobjects."""
        path = [part for part in path if part]
        if not path or path[0] not in self.fields:
            return refuse(404, *NO_RESOURCE)
        name, rest = path[0], path[1:]
        if not rest or rest == ["Id"]:
            return self.post(request, name) if request.method == "POST" else refuse(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed")
        if rest == ["describe"]:
            return Answer(200, self.described(name))
        if len(rest) == 1:
            return self.one(request, name, self.records[name].get(long(rest[0])))
        if rest[1] == "VersionData" and request.method == "GET":
            return Answer(200, self.data[long(rest[0])], content_type="application/octet-stream")
        if len(rest) == 2:
            return self.external(request, version, name, *rest)
        return refuse(404, *NO_RESOURCE)

    def post(self, request, name):
        """A new record. Files may come as multipart/form-data with a part of JSON."""
        if name == "ContentVersion":
            return self.file(request)
        if request.media_type() != "application/json":
            return refuse(415, "UNSUPPORTED_MEDIA_TYPE", "The content type is not supported")
        return self.created(name, self.body(request))

    def body(self, request):
        try:
            body = request.json()
        except ValueError:
            raise Refused(refuse(400, "JSON_PARSER_ERROR", "Unexpected character")) from None
        body.pop("attributes", None)
        return body

    def created(self, name, body):
        check(self.visible(name), name, body, refuse, new=True)
        self.unique(name, body, None)
        if name == "Contact" and self.org.settings["block_duplicates"] and self.twin(name, body):
            return refuse(400, "DUPLICATES_DETECTED", "Use one of these records?", [])
        if name == "ContentDocumentLink":
            self.linkable(body)
        return Answer(201, {"id": self.insert(name, body)["Id"], "success": True, "errors": []})

    def twin(self, name, body):
        return any(other.get("Email") == body.get("Email") and body.get("Email") for other in self.live(name))

    def one(self, request, name, record):
        """By its id."""
        if record is None:
            return refuse(404, *NO_RESOURCE)
        if record["IsDeleted"]:
            return refuse(404, "ENTITY_IS_DELETED", "entity is deleted", [])
        if request.method == "GET":
            wanted = request.query.get("fields")
            return Answer(200, self.shown(name, record, wanted.split(",") if wanted else None))
        if request.method == "PATCH":
            self.change(name, record, self.body(request))
            return Answer(204)
        if request.method == "DELETE":
            return self.delete(name, record)
        return refuse(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed")

    def external(self, request, version, name, field, value):
        """By an external id: upsert with PATCH. A value that ends like a file's name is taken for a format, and not found."""
        known = self.visible(name).get(field, {})
        if re.search(r"\.[A-Za-z]{2,4}$", value) or not known.get("external"):
            return refuse(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + field)
        found = [record for record in self.live(name) if str(record.get(field, "")).lower() == value.lower()]
        if len(found) > 1:
            base = f"/services/data/v{version}.0/sobjects/{name}/"
            return Answer(300, [base + record["Id"] for record in found])
        if request.method != "PATCH":
            return self.one(request, name, found[0]) if found else refuse(404, *NO_RESOURCE)
        body = self.body(request)
        for key in ("Id", field):
            if key in body:
                return refuse(400, "INVALID_FIELD", f"The {key} field should not be specified in the sobject data.", [key])
        if found:
            self.change(name, found[0], body)
            answer = {"id": found[0]["Id"], "success": True, "errors": [], "created": False}
            return Answer(200, answer) if version >= 46 else Answer(204)
        if request.query.get("updateOnly") == "true":
            return refuse(404, *NO_RESOURCE)
        check(self.visible(name), name, body, refuse, new=True)
        self.unique(name, {**body, field: value}, None)
        id = self.insert(name, {**body, field: value})["Id"]
        return Answer(201, {"id": id, "success": True, "errors": [], "created": True})

    # Records.

    def live(self, name):
        return [record for record in self.records[name].values() if not record["IsDeleted"]]

    def insert(self, name, body):
        """A record, without any check."""
        id = f"{PREFIX[name]}00000000{next(self.org.numbers):04d}AAA"
        now = self.time()
        record = {"Id": id, **{key: value for key, value in body.items() if value is not None}, "IsDeleted": False, "CreatedDate": now,
                  "LastModifiedDate": now, "SystemModstamp": now, "_written": self.org.clock.now()}
        if name == "Lead":
            record.setdefault("IsConverted", False)
        self.records[name][id] = record
        return record

    def change(self, name, record, body):
        check(self.visible(name), name, body, refuse, new=False)
        self.unique(name, body, record)
        for key, value in body.items():
            record.pop(key, None)
            if value is not None:
                record[key] = value
        record.update(LastModifiedDate=self.time(), SystemModstamp=self.time(), _written=self.org.clock.now())

    def unique(self, name, body, but):
        for key, value in body.items():
            if self.fields[name][key].get("unique"):
                for other in self.live(name):
                    if other is not but and other.get(key) == value:
                        text = f"duplicate value found: {key} duplicates value on record with id: {other['Id']}"
                        raise Refused(refuse(400, "DUPLICATE_VALUE", text, []))

    def delete(self, name, record):
        """Into the recycle bin. A file goes with its document, which takes versions and links along."""
        if name == "ContentVersion":
            return refuse(400, "INSUFFICIENT_ACCESS_OR_READONLY", "entity type ContentVersion does not support delete")
        record["IsDeleted"] = True
        if name == "ContentDocument":
            for other in ("ContentVersion", "ContentDocumentLink"):
                for item in self.records[other].values():
                    if item["ContentDocumentId"] == record["Id"]:
                        item["IsDeleted"] = True
        return Answer(204)

    # Files.

    def file(self, request):
        """A ContentVersion: JSON with base64, or multipart/form-data with JSON in one part and the bytes in another."""
        if request.media_type() == "application/json":
            body = self.body(request)
            data = base64.b64decode(body.pop("VersionData", "") or "")
            if len(data) > 37_500_000:
                return refuse(413, "EXCEEDED_MAX_SIZE_REQUEST", "The request is too large")
            return self.version(body, data)
        if request.media_type() != "multipart/form-data":
            return refuse(415, "UNSUPPORTED_MEDIA_TYPE", "The content type is not supported")
        try:
            parts = request.parts()
        except ValueError as error:
            return refuse(400, "INVALID_MULTIPART_REQUEST", str(error))
        binary = [part for part in parts if part.filename is not None]
        rest = [part for part in parts if part.filename is None]
        if not rest or (rest[0].content_type or "").partition(";")[0] != "application/json" or parts[0] is not rest[0]:
            return refuse(400, "INVALID_MULTIPART_REQUEST", "Multipart message must include a non-binary part")
        if len(binary) != 1 or binary[0].name != "VersionData" or not binary[0].content_type:
            return refuse(400, "INVALID_MULTIPART_REQUEST", "Multipart message must include a binary part named VersionData with its type")
        return self.version(json.loads(rest[0].body), binary[0].body)

    def version(self, body, data):
        check(self.visible("ContentVersion"), "ContentVersion", body, refuse, new=True)
        if len(data) > self.org.settings["file_bytes"]:
            return refuse(413, "EXCEEDED_MAX_SIZE_REQUEST", "The request is too large")
        if sum(map(len, self.data.values())) + len(data) > self.org.settings["storage_bytes"]:
            return refuse(400, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")
        location, document = body.get("FirstPublishLocationId"), body.get("ContentDocumentId")
        if location and self.by_id(location) is None:
            return refuse(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["FirstPublishLocationId"])
        name = body.get("PathOnClient") or body.get("ContentUrl")
        document = document or self.insert("ContentDocument", {"Title": body.get("Title") or name})["Id"]
        for other in self.records["ContentVersion"].values():
            if other["ContentDocumentId"] == document:
                other["IsLatest"] = False
        kept = {**body, "ContentDocumentId": document, "Checksum": md5(data), "ContentSize": len(data), "IsLatest": True,
                "Title": body.get("Title") or name, "FileExtension": name.rpartition(".")[2], "FileType": name.rpartition(".")[2].upper()}
        record = self.insert("ContentVersion", kept)
        self.data[record["Id"]] = data
        self.records["ContentDocument"][document]["LatestPublishedVersionId"] = record["Id"]
        if location:
            self.link(document, location, "V")
        return Answer(201, {"id": record["Id"], "success": True, "errors": []})

    def link(self, document, entity, share):
        self.insert("ContentDocumentLink", {"ContentDocumentId": document, "LinkedEntityId": entity, "ShareType": share})

    def linkable(self, body):
        for link in self.live("ContentDocumentLink"):
            if (link["ContentDocumentId"], link["LinkedEntityId"]) == (body["ContentDocumentId"], body["LinkedEntityId"]):
                text = f"duplicate value found: <unknown> duplicates value on record with id: {link['Id']}"
                raise Refused(refuse(400, "DUPLICATE_VALUE", text, []))
        if self.by_id(body["ContentDocumentId"]) is None or self.by_id(body["LinkedEntityId"]) is None:
            raise Refused(refuse(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", []))

    def by_id(self, id):
        """A record of any object that is not deleted."""
        for records in self.records.values():
            record = records.get(long(id))
            if record and not record["IsDeleted"]:
                return record
        return None

    # What is shown.

    def shown(self, name, record, wanted=None):
        fields = self.visible(name)
        for key in wanted or ():
            if key not in fields:
                text = f"No such column '{key}' on entity '{name}'. If you are attempting to use a custom field, be sure to append the '__c'"
                raise Refused(refuse(400, "INVALID_FIELD", text))
        attributes = {"type": name, "url": f"/services/data/v66.0/sobjects/{name}/{record['Id']}"}
        kept = {key: record.get(key) for key in wanted or fields}
        if "VersionData" in kept:
            kept["VersionData"] = attributes["url"] + "/VersionData"
        return {"attributes": attributes, **kept}

    def described(self, name):
        fields = [{"name": key, "type": field["type"], "length": field.get("length", 0), "externalId": bool(field.get("external")),
                   "unique": bool(field.get("unique")), "nillable": not field.get("required"),
                   "createable": not field.get("read_only") and key not in SYSTEM,
                   "updateable": not field.get("read_only") and key not in SYSTEM,
                   "picklistValues": [{"value": option, "active": True} for option in field.get("options", ())]}
                  for key, field in self.visible(name).items()]
        return {"name": name, "fields": fields, "keyPrefix": PREFIX[name]}

    def time(self):
        now = datetime.datetime.fromtimestamp(self.org.clock.now(), datetime.timezone.utc)
        return now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def state(self):
        """All records, those in the recycle bin too."""
        return {name: [{key: value for key, value in record.items() if not key.startswith("_")} for record in records.values()]
                for name, records in self.records.items()}


def long(id):
    """Ids of 15 characters name the same record."""
    return id + "AAA" if len(id) == 15 else id
