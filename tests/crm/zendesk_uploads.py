"""Zendesk's uploads, which become attachments with a comment, or end."""

import datetime

from message import Answer, Refused


class Uploads:
    """Files that no comment has yet, and those that one has."""

    def __init__(self, desk):
        self.desk = desk
        self.files = {}
        self.tokens = {}

    def route(self, request, path):
        if path[0] == "attachments":
            file = self.files.get(int(path[1]))
            return Answer(200, {"attachment": self.shown(file)}) if file else self.desk.not_found(request)
        if request.method == "POST" and len(path) == 1:
            return self.upload(request)
        if request.method == "DELETE" and self.tokens.pop(path[1], None):
            return Answer(204)
        return self.desk.not_found(request)

    def upload(self, request):
        """The body as it is; type and name as they are told, which players go by."""
        name = request.query.get("filename")
        if not name:
            return Answer(400, {"error": "BadRequest", "description": "filename is required"})
        if len(request.body) > self.desk.settings["upload_bytes"]:
            return Answer(413, {"error": "AttachmentTooLarge", "description": "The file is too large"})
        token = request.query.get("token") or f"upload-{next(self.desk.numbers)}"
        ends = self.desk.clock.now() + self.desk.settings["upload_s"]
        entry = self.tokens.setdefault(token, {"files": [], "ends": ends})
        id = next(self.desk.numbers)
        file = {"id": id, "file_name": name, "content_type": request.headers.get("content-type", "application/unknown"),
                "bytes": request.body, "comment": None, "redacted": False}
        self.files[id] = file
        entry["files"].append(id)
        at = datetime.datetime.fromtimestamp(entry["ends"], datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(201, {"upload": {"token": token, "expires_at": at, "attachment": self.shown(file),
                                       "attachments": [self.shown(self.files[one]) for one in entry["files"]]}})

    def take(self, tokens, comment):
        """The files of these uploads go to a comment. 422 where an upload has ended or was used."""
        found = []
        for token in tokens:
            entry = self.tokens.get(token)
            if entry is None or entry["ends"] < self.desk.clock.now():
                raise Refused(self.desk.invalid("attachments", "Attachments: the upload token is not valid"))
            found += entry["files"]
        for token in tokens:
            del self.tokens[token]
        for id in found:
            self.files[id]["comment"] = comment
        return found

    def redact(self, id):
        """A text file takes the place of the file."""
        file = self.files[id]
        file.update(file_name="redacted.txt", content_type="text/plain", bytes=b"", redacted=True)
        return Answer(200, {"attachment": self.shown(file)})

    def content(self, request, id):
        """Whoever has the URL reads it, unless attachments are private."""
        file = self.files.get(int(id))
        if file is None or self.desk.settings["private_attachments"] and not self.desk.is_live(request.bearer()):
            return Answer(404)
        return Answer(200, file["bytes"], content_type=file["content_type"])

    def shown(self, file):
        return {"id": file["id"], "file_name": file["file_name"], "content_type": file["content_type"], "size": len(file["bytes"]),
                "content_url": f"{self.desk.url}/attachments/{file['id']}/{file['file_name']}", "malware_scan_result": "not_scanned",
                "inline": False}

    def state(self):
        return [{**self.shown(file), "comment": file["comment"], "redacted": file["redacted"]} for file in self.files.values()]
