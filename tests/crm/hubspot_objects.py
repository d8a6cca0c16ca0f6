"""HubSpot's objects, their properties and associations."""

import datetime
import re

from common import national
from hubspot_search import Search
from message import Answer, Refused

TYPES = ("contacts", "companies", "deals", "tickets", "notes", "calls", "communications", "tasks")
SINGULAR = {"contact": "contacts", "company": "companies", "deal": "deals", "ticket": "tickets", "note": "notes", "call": "calls",
            "communication": "communications", "task": "tasks"}
TEXT = {"type": "string", "fieldType": "text"}
NUMBER = {"type": "number", "fieldType": "number"}
TIME = {"type": "datetime", "fieldType": "date"}
LONG = {"type": "string", "fieldType": "html", "max": 65536}


def choice(*options):
    return {"type": "enumeration", "fieldType": "select", "options": options}


PROPERTIES = {
    "contacts": {"email": TEXT, "firstname": TEXT, "lastname": TEXT, "phone": TEXT, "mobilephone": TEXT, "company": TEXT,
                 "lifecyclestage": choice("lead", "customer", "opportunity"), "hubspot_owner_id": TEXT,
                 "hs_searchable_calculated_phone_number": TEXT, "hs_searchable_calculated_mobile_number": TEXT},
    "companies": {"name": TEXT, "domain": TEXT, "phone": TEXT},
    "deals": {"dealname": TEXT, "amount": NUMBER, "dealstage": TEXT, "pipeline": TEXT, "closedate": TIME},
    "tickets": {"subject": TEXT, "content": TEXT, "hs_pipeline": TEXT, "hs_pipeline_stage": TEXT},
    "notes": {"hs_timestamp": TIME, "hs_note_body": LONG, "hubspot_owner_id": TEXT, "hs_attachment_ids": TEXT},
    "tasks": {"hs_timestamp": TIME, "hs_task_body": LONG, "hs_task_subject": TEXT},
    "calls": {"hs_timestamp": TIME, "hs_call_body": LONG, "hs_call_title": TEXT, "hs_call_duration": NUMBER,
              "hs_call_direction": choice("INBOUND", "OUTBOUND"), "hs_call_status": choice("COMPLETED", "MISSED", "NO_ANSWER"),
              "hs_call_recording_url": TEXT, "hubspot_owner_id": TEXT},
    "communications": {"hs_timestamp": TIME, "hs_communication_body": LONG, "hs_communication_logged_from": choice("CRM"),
                       "hs_communication_channel_type": choice("WHATS_APP", "SMS", "LINKEDIN_MESSAGE"), "hubspot_owner_id": TEXT},
}
READ_ONLY = {"hs_object_id", "createdate", "lastmodifieddate", "hs_lastmodifieddate", "hs_createdate"}
REQUIRED = {"notes": ["hs_timestamp"], "calls": ["hs_timestamp"], "communications": ["hs_timestamp"]}


class Objects:
    """All records of the account."""

    def __init__(self, hub):
        self.hub = hub
        self.records = {name: {} for name in TYPES}
        self.defined = {name: {key: dict(value) for key, value in PROPERTIES[name].items()} for name in TYPES}
        self.pairs = set()
        self.search = Search(self)

    # Paths.

    def route(self, request, version, path):
        """Below /crm/objects/{version}."""
        type = path[0] if path[0] in TYPES else SINGULAR.get(path[0])
        if type is None:
            return self.hub.error(400, f"Unable to infer object type from: {path[0]}", "VALIDATION_ERROR")
        what = (request.method, len(path))
        if len(path) == 3 and path[1] == "batch":
            return self.batch(request, version, type, path[2])
        if what == ("POST", 2) and path[1] == "search":
            return self.search.run(type, request.json())
        if what == ("POST", 1):
            return self.post(type, version, request.json())
        if what == ("GET", 1):
            return self.list(type, request)
        if what[1] == 2:
            return self.one(request, version, type, path[1])
        if "associations" in path:
            return self.associations(request, type, path)
        return self.hub.error(404, "No such path")

    def one(self, request, version, type, name):
        """One record, by its id or by another unique property."""
        record = self.find(type, name, request.query.get("idProperty"))
        if record is None:
            return self.hub.error(404, "resource not found" if request.method == "GET" else "Object not found. objectId are usually "
                                  "numeric.")
        if request.method == "GET":
            return Answer(200, self.shown(record, request.query.get("properties", "").split(",")))
        if request.method == "PATCH":
            self.write(type, version, record, request.json().get("properties", {}))
            return Answer(200, self.shown(record))
        if request.method == "DELETE":
            record["archived"] = True
            return Answer(204)
        return self.hub.error(405, "Method not allowed")

    def find(self, type, name, id_property=None):
        """A record that is not archived."""
        live = [record for record in self.records[type].values() if not record["archived"]]
        if id_property in (None, "hs_object_id"):
            return next((record for record in live if record["id"] == name), None)
        unique = self.defined[type].get(id_property, {}).get("hasUniqueValue") or (type, id_property) == ("contacts", "email")
        if not unique:
            raise Refused(self.hub.error(400, f"{id_property} is not a unique identifier property", "VALIDATION_ERROR"))
        return next((record for record in live if record["properties"].get(id_property) == name), None)

    def list(self, type, request):
        """GET of all, in the order of their ids."""
        live = [record for record in self.records[type].values() if not record["archived"]]
        limit, after = int(request.query.get("limit", 10)), int(request.query.get("after", 0))
        page = [self.shown(record, request.query.get("properties", "").split(",")) for record in live[after : after + limit]]
        body = {"results": page}
        if after + limit < len(live):
            body["paging"] = {"next": {"after": str(after + limit)}}
        return Answer(200, body)

    # Writes.

    def post(self, type, version, body):
        properties = body.get("properties", {})
        self.valid(type, version, properties, new=True)
        clash = self.clash(type, properties)
        if clash:
            noun = "Contact" if type == "contacts" else "Object"
            return self.hub.error(409, f"{noun} already exists. Existing ID: {clash['id']}", "CONFLICT")
        targets = []
        for association in body.get("associations", []):
            for kind in association["types"]:
                targets.append(self.target(kind, association["to"]["id"]))
        record = self.create(type, properties)
        for target in targets:
            self.associate((type, record["id"]), target)
        return Answer(201, self.shown(record))

    def target(self, kind, id):
        """Of a note's association in a create. Ids of types are directional: these are a note's, a call's and a ticket's."""
        by_id = {202: "contacts", 190: "companies", 214: "deals", 228: "tickets", 194: "contacts", 81: "contacts", 87: "contacts"}
        type = by_id.get(kind.get("associationTypeId"))
        if type is None or self.find(type, str(id)) is None:
            raise Refused(self.hub.error(400, "One or more associations are not valid", "VALIDATION_ERROR"))
        return type, str(id)

    def create(self, type, properties):
        """A record, without any check."""
        id = str(next(self.hub.numbers))
        record = {"id": id, "properties": {}, "archived": False, "createdAt": self.time(), "_written": 0}
        self.records[type][id] = record
        self.fill(type, record, properties)
        return record

    def write(self, type, version, record, properties):
        self.valid(type, version, properties, new=False)
        clash = self.clash(type, properties)
        if clash and clash is not record:
            raise Refused(self.hub.error(400, f"A {type} with that value already exists", "VALIDATION_ERROR"))
        self.fill(type, record, properties)

    def fill(self, type, record, properties):
        for name, value in properties.items():
            record["properties"].pop(name, None)
            if value != "":
                record["properties"][name] = value
        if type == "contacts":
            for source, target in (("phone", "phone"), ("mobilephone", "mobile")):
                number = national(record["properties"].get(source, ""))
                record["properties"][f"hs_searchable_calculated_{target}_number"] = number
        record["updatedAt"] = self.time()
        record["_written"] = self.hub.clock.now()

    def clash(self, type, properties):
        """Another record with the same unique value. Deals and tickets have none."""
        for name, value in properties.items():
            unique = self.defined[type].get(name, {}).get("hasUniqueValue") or (type, name) == ("contacts", "email")
            if unique and value and (other := self.find(type, value, name)):
                return other
        return None

    def valid(self, type, version, properties, new):
        """400 for what the account refuses."""
        for name, value in properties.items():
            if not isinstance(value, (str, type_of_none)):
                word = "Array" if isinstance(value, list) else "Object" if isinstance(value, dict) else "a literal"
                raise Refused(self.hub.error(400, "Invalid input JSON on line 1, column 1: Cannot deserialize value of type "
                                             f"`java.lang.String` from {word} value", "VALIDATION_ERROR"))
            if fault := self.fault(type, name, value or ""):
                text = f'Property values were not valid: [{{"isValid":false,"message":"{fault[1]}","error":"{fault[0]}","name":"{name}"}}]'
                raise Refused(self.hub.error(400, text, "VALIDATION_ERROR", [{"message": fault[1], "code": fault[0],
                                                                              "context": {"propertyName": [name]}}]))
        wanted = list(REQUIRED.get(type, [])) + (self.hub.settings["required"].get(type, []) if version == "2026-09" else [])
        missing = [name for name in wanted if new and not properties.get(name)]
        if missing:
            raise Refused(self.hub.error(400, "Error creating object. Some required properties were not set.", "VALIDATION_ERROR",
                                         [{"message": "required", "code": "REQUIRED_FIELD", "context": {"properties": missing}}]))

    def fault(self, type, name, value):
        """(code, text) of what is wrong with a value."""
        defined = self.defined[type].get(name)
        if name in READ_ONLY:
            return "READ_ONLY_VALUE", f"{name} is read only"
        if defined is None:
            return "PROPERTY_DOESNT_EXIST", f"Property {name} does not exist"
        if value == "":
            return None
        if len(value) > defined.get("max", 65536):
            return "PROPERTY_VALUE_TOO_LONG", f"{name} is longer than {defined.get('max', 65536)}"
        if defined["type"] == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
            return "INVALID_NUMBER", f"{name} was not a valid number"
        if defined["type"] == "datetime" and not re.fullmatch(r"\d{12,14}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            return "INVALID_DATE", f"{name} was not a valid time"
        options = defined.get("options")
        if options and any(part not in options for part in value.split(";")):
            return "INVALID_OPTION", f"{value} was not one of the allowed options"
        if name == "hs_call_recording_url" and not re.fullmatch(r"https://[^?#]+\.(mp3|wav)", value):
            return "INVALID_URL", "the recording's URL is not https with .mp3 or .wav"
        return None

    def batch(self, request, version, type, verb):
        inputs = request.json().get("inputs", [])
        if len(inputs) > 100:
            return self.hub.error(400, "The maximum number of inputs is 100", "VALIDATION_ERROR")
        if request.method != "POST" or verb not in ("create", "read", "update", "upsert", "archive"):
            return self.hub.error(404, "No such path")
        results, errors = [], []
        for item in inputs:
            try:
                result = getattr(self, "batch_" + verb)(type, version, item, request.json())
                results += [result] if result else []
            except Refused as refused:
                errors.append(self.batch_error(refused.answer, item))
        if verb == "archive":
            return Answer(204)
        body = {"status": "COMPLETE", "results": results, "startedAt": self.time(), "completedAt": self.time()}
        if errors:
            body.update(numErrors=len(errors), errors=errors)
        return Answer(207 if errors else 201 if verb == "create" else 200, body)

    def batch_error(self, answer, item):
        import json
        body = json.loads(answer.body)
        trace = item.get("objectWriteTraceId")
        context = {"objectWriteTraceId": [trace]} if trace else {"ids": [str(item.get("id"))]}
        return {"status": "error", "category": body["category"], "message": body["message"], "context": context}

    def batch_create(self, type, version, item, _):
        self.valid(type, version, item.get("properties", {}), new=True)
        return self.shown(self.create(type, item.get("properties", {})))

    def batch_read(self, type, _version, item, body):
        record = self.find(type, item["id"], body.get("idProperty"))
        if record is None:
            raise Refused(self.hub.error(404, "Could not get some objects"))
        return self.shown(record, body.get("properties", []))

    def batch_update(self, type, version, item, _):
        record = self.find(type, item["id"], item.get("idProperty"))
        if record is None:
            raise Refused(self.hub.error(404, "Could not get some objects"))
        self.write(type, version, record, item.get("properties", {}))
        return self.shown(record)

    def batch_upsert(self, type, version, item, _):
        name, properties = item.get("idProperty"), item.get("properties", {})
        record = self.find(type, item["id"], name)
        self.valid(type, version, properties, new=record is None)
        if record is None:
            shown = self.shown(self.create(type, {name: item["id"], **properties}))
            return {**shown, "new": True}
        if name == "email":
            # By email an upsert replaces: what is left out is lost.
            record["properties"] = {"email": item["id"]}
        self.write(type, version, record, properties)
        return {**self.shown(record), "new": False}

    def batch_archive(self, type, _version, item, _):
        record = self.find(type, item["id"])
        if record:
            record["archived"] = True

    # Associations.

    def associations(self, request, type, path):
        """Default ones are written by PUT, any number of times; a list is read."""
        at = path.index("associations")
        if request.method == "PUT" and path[at + 1] == "default":
            other = path[at + 2] if path[at + 2] in TYPES else SINGULAR.get(path[at + 2])
            one, two = (type, path[1]), (other, path[at + 3])
            if other is None or self.find(*one) is None or self.find(*two) is None:
                return self.hub.error(404, "One of the objects does not exist")
            self.associate(one, two)
            return Answer(200, {"status": "COMPLETE", "results": [
                {"from": {"id": one[1]}, "to": {"id": two[1]}, "associationSpec": {"associationCategory": "HUBSPOT_DEFINED"}}]})
        other = path[at + 1] if path[at + 1] in TYPES else SINGULAR.get(path[at + 1])
        if request.method == "DELETE":
            self.pairs.discard(frozenset([(type, path[1]), (other, path[at + 2])]))
            return Answer(204)
        if self.find(type, path[1]) is None:
            return self.hub.error(404, "resource not found")
        ids = self.linked(type, path[1], other)
        if "/v3/" in request.path:
            return Answer(200, {"results": [{"id": id, "type": f"{type}_to_{other}"} for id in ids]})
        kinds = [{"category": "HUBSPOT_DEFINED", "typeId": 1, "label": None}]
        return Answer(200, {"results": [{"toObjectId": int(id), "associationTypes": kinds} for id in ids]})

    def associate(self, one, other):
        self.pairs.add(frozenset([one, other]))

    def linked(self, type, id, other):
        """Ids of this type that stand with a record."""
        found = set()
        for pair in self.pairs:
            if (type, id) in pair:
                found |= {name for kind, name in pair - {(type, id)} if kind == other and self.find(other, name)}
        return sorted(found, key=int)

    # Properties.

    def properties(self, request, path):
        type = path[0] if path[0] in TYPES else SINGULAR.get(path[0])
        if type is None:
            return self.hub.error(404, "No such object type")
        if request.method == "POST":
            body = request.json()
            if not {"name", "label", "groupName", "type", "fieldType"} <= set(body):
                return self.hub.error(400, "Some required fields were not set", "VALIDATION_ERROR")
            if body["name"] in self.defined[type]:
                return self.hub.error(409, f"Property {body['name']} already exists", "OBJECT_ALREADY_EXISTS")
            options = [option["value"] for option in body.get("options", [])]
            self.defined[type][body["name"]] = {**body, "options": options} if options else body
            return Answer(201, body)
        names = self.defined[type]
        if len(path) > 1:
            return Answer(200, self.described(path[1], names[path[1]])) if path[1] in names else self.hub.error(404, "no property")
        return Answer(200, {"results": [self.described(name, value) for name, value in names.items()]})

    def described(self, name, value):
        options = [{"label": option, "value": option} for option in value.get("options", [])]
        return {"name": name, "label": value.get("label", name), "type": value["type"], "fieldType": value["fieldType"],
                "groupName": value.get("groupName", "information"), "options": options,
                "hasUniqueValue": value.get("hasUniqueValue", False)}

    # What is shown.

    def shown(self, record, names=()):
        wanted = [name for name in names if name]
        every = {"hs_object_id": record["id"], "createdate": record["createdAt"], **record["properties"]}
        kept = {name: every.get(name) for name in wanted} if wanted else every
        return {"id": record["id"], "properties": kept, "createdAt": record["createdAt"], "updatedAt": record["updatedAt"],
                "archived": record["archived"]}

    def time(self):
        now = datetime.datetime.fromtimestamp(self.hub.clock.now(), datetime.timezone.utc)
        return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"

    def state(self):
        return {type: [self.shown(record) for record in records.values()] for type, records in self.records.items()}

    def links(self):
        return sorted(sorted(list(end) for end in pair) for pair in self.pairs)


type_of_none = type(None)
