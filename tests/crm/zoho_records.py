"""Zoho's records: success is said for each record, whatever the status is."""

import re

import fake_zoho
from common import digits
from message import Answer, Refused


def kind(data_type, length=255, **more):
    return {"data_type": data_type, "length": length, "unique": False, "required": False, **more}


TEXT, LONG, PHONE, LOOKUP, TIME = (kind("text"), kind("textarea", 32000), kind("phone", 30), kind("lookup"), kind("datetime"))
PERSON = {"Last_Name": kind("text", 80, required=True), "First_Name": kind("text", 40), "Email": kind("email", 100, unique=True),
          "Phone": PHONE, "Mobile": PHONE, "Description": LONG}
MODULES = {
    "Contacts": PERSON, "Leads": {**PERSON, "Company": kind("text", 200)}, "Accounts": {"Account_Name": kind("text", 200, required=True)},
    "Deals": {"Deal_Name": kind("text", 120, required=True), "Stage": kind("text", 120, required=True), "Contact_Name": LOOKUP},
    "Cases": {"Subject": kind("text", 255, required=True), "Status": TEXT},
    "Notes": {"Note_Title": kind("text", 120), "Note_Content": kind("textarea", 32000, required=True),
              "Parent_Id": kind("parent", required=True)},
    "Calls": {"Subject": kind("text", 300, required=True), "Call_Type": kind("text", 20, required=True, options=("Inbound", "Outbound", "Missed")),
              "Call_Start_Time": kind("datetime", required=True), "Call_Duration": kind("text", 20), "Who_Id": LOOKUP, "What_Id": LOOKUP,
              "$se_module": TEXT, "Description": LONG, "Call_Result": TEXT},
}
TAG_MAX = 25


class Records:
    """All modules."""

    def __init__(self, crm):
        self.crm = crm
        self.fields = {name: dict(fields) for name, fields in MODULES.items()}
        self.all = {name: {} for name in MODULES}

    def route(self, request, path):
        module, rest, method = path[0], path[1:], request.method
        if method == "POST" and rest in ([], ["upsert"]):
            return self.write(module, request, self.upsert if rest else self.create)
        if method == "PUT" and not rest:
            return self.write(module, request, lambda module, body, _: self.update(module, self.found(module, str(body.get("id"))), body))
        if method == "GET" and not rest:
            return self.list(request, self.live(module))
        if rest == ["search"] and method == "GET":
            return self.search(module, request)
        if method == "DELETE" and not rest:
            return Answer(200, {"data": [self.delete(module, id) for id in request.query.get("ids", "").split(",")]})
        if len(rest) == 1:
            return self.one(module, request, self.external(module, request, rest[0]))
        return self.below(module, request, rest)

    def below(self, module, request, rest):
        """Notes and tags of a record."""
        record = self.all[module].get(rest[0])
        if record is None or record["_deleted"]:
            return fake_zoho.error(400, "INVALID_DATA", "the related id given seems to be invalid", {"resource_path_index": 1})
        if rest[1] == "Notes" and request.method == "GET":
            return self.list(request, [note for note in self.live("Notes") if note["Parent_Id"]["id"] == rest[0]])
        if rest[1] == "Notes" and request.method == "POST":
            parent = {"module": {"api_name": module}, "id": rest[0]}
            return self.write("Notes", request, lambda name, body, one: self.create(name, {**body, "Parent_Id": parent}, one))
        if rest[1:] == ["actions", "add_tags"] and request.method == "POST":
            return self.tag(record, request.json())
        return fake_zoho.error(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")

    def external(self, module, request, name):
        """With `X-EXTERNAL: Module.Field` the path has a value instead of an id."""
        header = request.headers.get("x-external", "")
        if header.startswith(module + "."):
            field = header.partition(".")[2]
            return next((record["id"] for record in self.live(module) if record.get(field) == name), name)
        return name

    def one(self, module, request, id):
        record = self.all[module].get(id)
        gone = record is None or record["_deleted"]
        if request.method == "GET":
            return Answer(204) if gone else Answer(200, {"data": [self.shown(record)]})
        if request.method == "PUT":
            return self.write(module, request, lambda module, body, _: self.update(module, self.found(module, id), body))
        if request.method == "DELETE":
            return Answer(400 if gone else 200, {"data": [self.delete(module, id)]})
        return fake_zoho.error(405, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")

    # Writes.

    def write(self, module, request, one):
        """201 where all are made, 200 where all are changed, 207 where some are refused, 202 where all are."""
        body = request.json()
        data = body.get("data")
        if not isinstance(data, list) or not 1 <= len(data) <= 100:
            return fake_zoho.error(400, "INVALID_DATA", "body")
        results = []
        for record in data:
            try:
                results.append(one(module, record, body))
            except Wrong as wrong:
                results.append(wrong.item)
        good = [result for result in results if result["status"] == "success"]
        if "trigger" not in body or body["trigger"]:
            self.crm.workflows += len(good)
        status = 202 if not good else 207 if len(good) < len(results) else 201 if good[0].get("action", "insert") == "insert" else 200
        if request.method == "PUT" and status == 201:
            status = 200
        return Answer(status, {"data": results})

    def create(self, module, record, _body):
        self.check(module, record, new=True)
        self.unique(module, record, None)
        made = self.insert(module, record)
        return {"code": "SUCCESS", "details": self.details(made), "message": "record added", "status": "success"}

    def upsert(self, module, record, body):
        """By the fields that are named, else by the system's and then by unique ones."""
        fields = body.get("duplicate_check_fields") or [name for name, field in self.fields[module].items() if field["unique"]]
        for name in fields:
            if not self.fields[module].get(name, {}).get("unique"):
                raise Refused(fake_zoho.error(400, "INVALID_DATA", "invalid duplicate check field", {"api_name": name}))
            for known in self.live(module):
                if record.get(name) and known.get(name) == record[name]:
                    done = self.update(module, known, record)
                    return {**done, "action": "update", "duplicate_field": name}
        return {**self.create(module, record, body), "action": "insert", "duplicate_field": None}

    def update(self, module, record, body):
        self.check(module, body, new=False)
        self.unique(module, body, record)
        record.update({key: value for key, value in body.items() if key != "id"})
        record.update(Modified_Time=self.crm.time(), _written=self.crm.clock.now())
        return {"code": "SUCCESS", "details": self.details(record), "message": "record updated", "status": "success", "action": "update"}

    def insert(self, module, body):
        """A record, without any check."""
        id = f"55500000000000{next(self.crm.numbers):05d}"
        record = {"id": id, **body, "Created_Time": self.crm.time(), "Modified_Time": self.crm.time(), "Tag": [], "_deleted": False,
                  "_written": self.crm.clock.now()}
        self.all[module][id] = record
        return record

    def found(self, module, id):
        record = self.all[module].get(id)
        if record is None or record["_deleted"]:
            raise Wrong("INVALID_DATA", {"api_name": "id"}, "the id given seems to be invalid")
        return record

    def check(self, module, record, new):
        for name, value in record.items():
            field = self.fields[module].get(name)
            if field is None or value is None:
                # An unknown name is dropped without a word.
                continue
            if fault := fault_of(field, value):
                raise Wrong("INVALID_DATA", {"api_name": name, **fault}, "invalid data")
        for name, field in self.fields[module].items():
            if new and field.get("required") and record.get(name) in (None, ""):
                raise Wrong("MANDATORY_NOT_FOUND", {"api_name": name}, "required field not found")
        parent = record.get("Parent_Id") if module == "Notes" else None
        if parent and self.all.get(parent["module"]["api_name"], {}).get(str(parent["id"]), {"_deleted": True})["_deleted"]:
            raise Wrong("INVALID_DATA", {"api_name": "Parent_Id"}, "the parent's id is invalid")

    def unique(self, module, record, but):
        for name, value in record.items():
            if value and self.fields[module].get(name, {}).get("unique"):
                for other in self.live(module):
                    if other is not but and other.get(name) == value:
                        details = {"api_name": name, "id": other["id"], "duplicate_record": {"id": other["id"]}}
                        raise Wrong("DUPLICATE_DATA", details, "duplicate data")

    def delete(self, module, id):
        record = self.all[module].get(id)
        if record is None or record["_deleted"]:
            return fake_zoho.item("INVALID_DATA", {"id": id}, "the id given seems to be invalid")
        record["_deleted"] = True
        return {"code": "SUCCESS", "details": {"id": id}, "message": "record deleted", "status": "success"}

    def tag(self, record, body):
        """Added, or with over_write in the place of all others."""
        names = [tag["name"] for tag in body["tags"]]
        if any(len(name) > TAG_MAX for name in names):
            return Answer(400, {"data": [fake_zoho.item("INVALID_DATA", {"maximum_length": TAG_MAX, "api_name": "name"}, "invalid data")]})
        has = set() if body.get("over_write") else {tag["name"] for tag in record["Tag"]}
        record["Tag"] = [{"name": name} for name in sorted(has | set(names))]
        return Answer(200, {"data": [{"code": "SUCCESS", "details": {"tags": [tag["name"] for tag in record["Tag"]], "id": record["id"]},
                                      "message": "tags updated successfully", "status": "success"}]})

    # Reads.

    def live(self, module):
        return [record for record in self.all[module].values() if not record["_deleted"]]

    def list(self, request, found):
        """`fields` is required, and no others are shown; no records are 204 without a body."""
        if not request.query.get("fields"):
            return fake_zoho.error(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param": "fields"})
        size, page = int(request.query.get("per_page", 200)), int(request.query.get("page", 1))
        if size > 200:
            return fake_zoho.error(400, "LIMIT_EXCEEDED", "per_page is at most 200")
        shown = found[(page - 1) * size : page * size]
        if not shown:
            return Answer(204)
        info = {"per_page": size, "count": len(shown), "page": page, "more_records": page * size < len(found)}
        wanted = {"id", *request.query["fields"].split(",")}
        asked = [{key: value for key, value in self.shown(record).items() if key in wanted} for record in shown]
        return Answer(200, {"data": asked, "info": info})

    def search(self, module, request):
        """One of phone, email, word, criteria; over an index, which is late."""
        ways = [way for way in ("criteria", "email", "phone", "word") if way in request.query]
        if not ways:
            return fake_zoho.error(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing")
        way, value = ways[0], request.query[ways[0]]
        if way == "criteria":
            test = criteria(value)
        elif way == "phone":
            test = lambda record: any(len(digits(value)) > 5 and digits(value) in digits(record.get(name)) for name in ("Phone", "Mobile"))
        elif way == "email":
            test = lambda record: (record.get("Email") or "").lower() == value.lower()
        else:
            test = lambda record: any(value.lower() in str(text).lower() for key, text in record.items() if not key.startswith("_"))
        found = [record for record in self.live(module) if self.crm.seen_by_search(record) and test(record)]
        if not found:
            return Answer(204)
        info = {"per_page": 200, "count": len(found), "page": 1, "more_records": False}
        return Answer(200, {"data": [self.shown(record) for record in found], "info": info})

    def meta(self, request, path):
        """/settings/modules, and of a module its related lists and its fields."""
        if path == ["modules"]:
            return Answer(200, {"modules": [{"api_name": name, "module_name": name, "api_supported": True, "generated_type": "default"}
                                            for name in self.fields]})
        module = request.query.get("module", "")
        if path == ["related_lists"] and module in self.fields:
            notes = {"api_name": "Notes", "name": "Notes", "module": {"api_name": "Notes", "id": "1"}, "href": f"{module}/{{ENTITYID}}/Notes",
                     "id": "1", "display_label": "Notes", "type": "default"}
            return Answer(200, {"related_lists": [notes]})
        if path != ["fields"] or module not in self.fields:
            return fake_zoho.error(400, "INVALID_MODULE", "the module name given seems to be invalid")
        if request.method == "POST":
            made = [self.define(module, field) for field in request.json()["fields"]]
            return Answer(201, {"fields": made})
        fields = [{"api_name": name, "field_label": name.replace("_", " "), "data_type": field["data_type"], "length": field["length"],
                   "system_mandatory": field.get("required", False), "unique": {"casesensitive": "false"} if field["unique"] else {},
                   "json_type": "string", "id": str(at), "pick_list_values": []}
                  for at, (name, field) in enumerate(self.fields[module].items())]
        return Answer(200, {"fields": fields})

    def define(self, module, field):
        """The label becomes the name in the API."""
        name = field["field_label"].replace(" ", "_")
        self.fields[module][name] = kind(field["data_type"], field.get("length", 255), unique=bool(field.get("unique")))
        return {"code": "SUCCESS", "details": {"id": "1", "api_name": name}, "message": "field created", "status": "success"}

    def details(self, record):
        return {"id": record["id"], "Created_Time": record["Created_Time"], "Modified_Time": record["Modified_Time"]}

    def shown(self, record):
        return {key: value for key, value in record.items() if not key.startswith("_")}

    def state(self):
        """All records, those in the recycle bin too."""
        return {name: [{**self.shown(record), "deleted": record["_deleted"]} for record in records.values()]
                for name, records in self.all.items()}


class Wrong(Exception):
    """One record that is refused."""

    def __init__(self, code, details, message):
        super().__init__(code)
        self.item = fake_zoho.item(code, details, message)


def fault_of(field, value):
    """Details of what is wrong with a value."""
    data_type = field["data_type"]
    if data_type in ("lookup", "parent"):
        return None if isinstance(value, dict) and "id" in value else {"expected_data_type": "jsonobject"}
    if not isinstance(value, str):
        return {"expected_data_type": data_type}
    if len(value) > field["length"]:
        return {"maximum_length": field["length"]}
    if field.get("options") and value not in field["options"]:
        return {"expected_data_type": "picklist"}
    if data_type == "phone" and not re.fullmatch(r"[+()\d\s.-]{3,30}", value):
        return {"expected_data_type": "phone"}
    if data_type == "email" and "@" not in value:
        return {"expected_data_type": "email"}
    if data_type == "datetime" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", value):
        return {"expected_data_type": "datetime"}
    return None


def criteria(text):
    """`((A:equals:x)and(B:starts_with:y))`, with \\ before ( ) and , of a value."""
    terms = re.findall(r"\((\w[\w.]*):(equals|starts_with|not_equal):((?:[^()\\,]|\\.)*)\)", text)
    if not terms:
        raise Refused(fake_zoho.error(400, "INVALID_QUERY", "Invalid query formed"))
    every = any if ")or(" in text else all

    def one(record, name, operator, value):
        has = record
        for step in name.split("."):
            has = has.get(step) if isinstance(has, dict) else None
        has, value = str(has if has is not None else "").lower(), re.sub(r"\\(.)", r"\1", value).lower()
        return {"equals": has == value, "starts_with": has.startswith(value), "not_equal": has != value}[operator]

    return lambda record: every(one(record, *term) for term in terms)
