"""Zoho's attachments: files and links at a record or a note."""

import fake_zoho
from message import Answer


class Attachments:
    """All attachments."""

    def __init__(self, crm):
        self.crm = crm
        self.all = {}

    def route(self, request, path):
        """Below /{module}/{id}/Attachments."""
        module, parent, rest = path[0], path[1], path[3:]
        record = self.crm.records.all[module].get(parent)
        if record is None or record["_deleted"]:
            return fake_zoho.error(400, "INVALID_DATA", "the related id given seems to be invalid", {"resource_path_index": 1})
        mine = [item for item in self.all.values() if item["parent"] == parent and not item["deleted"]]
        if not rest and request.method == "POST":
            return self.link(request, module, parent) if "attachmentUrl" in request.query else self.upload(request, module, parent)
        if not rest and request.method == "GET":
            if not request.query.get("fields"):
                return fake_zoho.error(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param": "fields"})
            info = {"per_page": 200, "count": len(mine), "page": 1, "more_records": False}
            return Answer(200, {"data": [self.shown(item) for item in mine], "info": info}) if mine else Answer(204)
        item = next((item for item in mine if rest and item["id"] == rest[0]), None)
        if item is None:
            return fake_zoho.error(400, "INVALID_DATA", "the id given seems to be invalid", {"id": rest[0] if rest else ""})
        if request.method == "GET":
            return Answer(200, item["bytes"], content_type="application/octet-stream")
        if request.method == "DELETE":
            item.update(deleted=True, bytes=b"")
            return Answer(200, {"data": [{"code": "SUCCESS", "details": {"id": item["id"]}, "message": "record deleted",
                                          "status": "success"}]})
        return fake_zoho.error(405, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")

    def upload(self, request, module, parent):
        """multipart with a part `file`."""
        try:
            files = [part for part in request.parts() if part.name == "file" and part.filename]
        except ValueError:
            files = []
        if len(files) != 1:
            return fake_zoho.error(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param": "file"})
        data = files[0].body
        if len(data) > self.crm.settings["file_bytes"]:
            return fake_zoho.error(400, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "please check if the size of the file is within the limit")
        if sum(len(item["bytes"]) for item in self.all.values()) + len(data) > self.crm.settings["storage_bytes"]:
            return fake_zoho.error(400, "STORAGE_SPACE_EXCEEDED", "no space")
        if files[0].filename.lower().endswith(".exe"):
            return fake_zoho.error(400, "INVALID_DATA", "the type of the file is not allowed")
        return self.keep(module, parent, files[0].filename, data, None)

    def link(self, request, module, parent):
        """A link stands in the query, and so does its title."""
        url = request.query["attachmentUrl"]
        if not url.startswith(("http://", "https://")):
            return fake_zoho.error(400, "INVALID_DATA", "invalid data", {"api_name": "attachmentUrl"})
        return self.keep(module, parent, request.query.get("title") or url, b"", url)

    def keep(self, module, parent, name, data, url):
        id = f"55500000000000{next(self.crm.numbers):05d}"
        self.all[id] = {"id": id, "module": module, "parent": parent, "name": name, "bytes": data, "size": len(data), "url": url,
                        "deleted": False, "created": self.crm.time()}
        return Answer(200, {"data": [{"code": "SUCCESS", "details": {"id": id, "Created_Time": self.crm.time()},
                                      "message": "attachment uploaded successfully", "status": "success"}]})

    def files(self, request):
        """POST /files: one file that is too large rejects the whole upload."""
        parts = request.parts()
        if any(len(part.body) > self.crm.settings["file_bytes"] for part in parts):
            return fake_zoho.error(415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", "please check if the size of the file is within the limit")
        data = [{"code": "SUCCESS", "details": {"name": part.filename, "id": f"file-{next(self.crm.numbers)}"},
                 "message": f"{part.filename} uploaded successfully", "status": "success"} for part in parts]
        return Answer(200, {"data": data})

    def shown(self, item):
        """The size is text."""
        return {"id": item["id"], "File_Name": item["name"], "Size": str(item["size"]), "$file_id": "f" + item["id"],
                "$link_url": item["url"], "$type": "Link URL" if item["url"] else "Attachment", "Created_Time": item["created"],
                "Parent_Id": {"id": item["parent"]}}

    def state(self):
        return [{**self.shown(item), "module": item["module"], "deleted": item["deleted"]} for item in self.all.values()]
