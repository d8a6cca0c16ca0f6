"""HubSpot's files."""

import json

from common import md5
from message import Answer

ACCESS = {"PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "HIDDEN_INDEXABLE", "HIDDEN_NOT_INDEXABLE", "HIDDEN_PRIVATE", "PRIVATE",
          "HIDDEN_SENSITIVE", "SENSITIVE"}
KINDS = {"mp3": "AUDIO", "wav": "AUDIO", "m4a": "AUDIO", "ogg": "AUDIO", "mp4": "MOVIE", "mov": "MOVIE", "jpg": "IMG", "jpeg": "IMG",
         "png": "IMG", "gif": "IMG", "pdf": "DOCUMENT", "docx": "DOCUMENT"}


class Files:
    """POST /files/{version}/files and what follows from it."""

    def __init__(self, hub):
        self.hub = hub
        self.records = {}

    def route(self, request, path):
        """Below /files/{version} or /files/files/{version}; v3 is /files/v3/files."""
        rest = [part for part in request.segments[1:] if part not in ("files", "v3", "2026-03", "2026-09")]
        if request.method == "POST" and not rest:
            return self.upload(request)
        if request.method == "GET" and rest == ["search"]:
            name = request.query.get("name", "")
            found = [self.shown(file) for file in self.live() if name in file["name"] and self.hub.seen_by_search(file)]
            return Answer(200, {"results": found, "total": len(found)})
        file = self.records.get(rest[0]) if rest else None
        if file is None or file["deleted"]:
            return self.hub.error(404, "No file with that id")
        if request.method == "GET" and rest[1:] == ["signed-url"]:
            return Answer(200, {"url": f"{self.hub.url}/files-content/{file['id']}?signed=1", "name": file["name"],
                                "extension": file["extension"], "type": file["type"], "size": file["size"],
                                "expiresAt": self.hub.objects.time()})
        if request.method == "GET" and len(rest) == 1:
            return Answer(200, self.shown(file))
        if request.method == "DELETE":
            file["deleted"] = True
            # Deleting for GDPR leaves nothing in a bin.
            file["gdpr"] = rest[1:] == ["gdpr-delete"]
            if file["gdpr"]:
                file["bytes"] = b""
            return Answer(204)
        return self.hub.error(404, "No such path")

    def upload(self, request):
        try:
            parts = {part.name: part for part in request.parts()}
        except ValueError as error:
            return self.hub.error(415 if "not multipart" in str(error) else 400, str(error), "VALIDATION_ERROR")
        file = parts.get("file")
        if file is None:
            return self.hub.error(400, "file is required", "VALIDATION_ERROR")
        if "folderPath" not in parts and "folderId" not in parts:
            return self.hub.error(400, "Either folderId or folderPath is required", "VALIDATION_ERROR")
        try:
            options = json.loads(parts["options"].body)
        except (KeyError, ValueError):
            return self.hub.error(400, "options is required, as JSON text", "VALIDATION_ERROR")
        if options.get("access") not in ACCESS:
            return self.hub.error(400, "access is required", "VALIDATION_ERROR")
        if len(file.body) > self.hub.settings["file_bytes"]:
            return self.hub.error(400, "The file is larger than this account allows", "VALIDATION_ERROR")
        name = parts["fileName"].body.decode() if "fileName" in parts else file.filename or "file"
        return Answer(201, self.shown(self.keep(name, file.body, options["access"], parts)))

    def keep(self, name, data, access, parts):
        id = str(next(self.hub.numbers))
        stem, dot, extension = name.rpartition(".")
        record = {
            "id": id, "name": stem if dot else name, "extension": extension if dot else "", "access": access, "size": len(data),
            "fileMd5": md5(data), "type": KINDS.get(extension.lower(), "OTHER"), "bytes": data, "deleted": False, "gdpr": False,
            "path": (parts["folderPath"].body.decode() if "folderPath" in parts else "") + "/" + name,
            "createdAt": self.hub.objects.time(), "_written": self.hub.clock.now(),
        }
        self.records[id] = record
        return record

    def content(self, request):
        """What a URL gives: a private file only signed."""
        file = self.records.get(request.segments[1])
        if file is None or file["deleted"] or file["access"].endswith("PRIVATE") and "signed" not in request.query:
            return self.hub.error(404, "No file")
        return Answer(200, file["bytes"], content_type="application/octet-stream")

    def live(self):
        return [file for file in self.records.values() if not file["deleted"]]

    def shown(self, file):
        names = ("id", "name", "extension", "access", "size", "fileMd5", "type", "path", "createdAt")
        return {**{name: file[name] for name in names}, "archived": file["deleted"],
                "url": f"{self.hub.url}/files-content/{file['id']}"}

    def state(self):
        return [{**self.shown(file), "deleted": file["deleted"], "gdpr": file["gdpr"]} for file in self.records.values()]
