#!/usr/bin/env python3
"""What the tests rely on, asked of a server by Microsoft's own client. Usage: judge.py ENDPOINT [--versions]."""
import sys
from datetime import datetime, timedelta, timezone

import azure.core
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient, BlobServiceClient, ContentSettings, StandardBlobTier, generate_blob_sas

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def refused(code, work):
    try:
        work()
    except HttpResponseError as error:
        assert error.error_code == code, f"{error.error_code} is not {code}"
    else:
        raise AssertionError(f"not refused with {code}")


def main():
    endpoint = sys.argv[1]
    service = BlobServiceClient(endpoint, credential={"account_name": ACCOUNT, "account_key": KEY}, retry_total=0)
    container = service.create_container("judged")
    refused("ContainerAlreadyExists", lambda: service.create_container("judged"))
    refused("BlobNotFound", lambda: container.get_blob_client("none").download_blob())
    refused("ContainerNotFound", lambda: service.get_blob_client("nothing", "none").get_blob_properties())

    note = container.get_blob_client("a b%2F/ü+&.ogg")
    settings = ContentSettings(content_type="audio/ogg", content_disposition="attachment", cache_control="private")
    made = note.upload_blob(b"0123456789", content_settings=settings, metadata={"sha256": "ab"}, validate_content=True)
    refused("BlobAlreadyExists", lambda: note.upload_blob(b"other", overwrite=False))
    told = note.get_blob_properties()
    assert (told.size, told.metadata, told.etag) == (10, {"sha256": "ab"}, made["etag"]), told
    assert told.content_settings.content_type == "audio/ogg" and told.content_settings.content_disposition == "attachment"
    assert note.download_blob().readall() == b"0123456789"
    assert note.download_blob(offset=2, length=3).readall() == b"234"
    refused("InvalidRange", lambda: note.download_blob(offset=10, length=1))
    match = {"etag": made["etag"], "match_condition": azure.core.MatchConditions.IfNotModified}
    note.upload_blob(b"new", overwrite=True, **match)
    refused("ConditionNotMet", lambda: note.upload_blob(b"late", overwrite=True, **match))

    parts = container.get_blob_client("parts")
    parts.stage_block("YQ==", b"hello ")
    parts.stage_block("Yg==", b"world")
    refused("BlobNotFound", parts.get_blob_properties)
    refused("InvalidBlockList", lambda: parts.commit_block_list([BlobBlock("eg==")]))
    parts.commit_block_list([BlobBlock("YQ=="), BlobBlock("Yg==")])
    assert parts.download_blob().readall() == b"hello world"

    for name in ("l/1", "l/1-", "l/10/a", "m"):
        container.get_blob_client(name).upload_blob(b"x")
    pages = list(list(page) for page in container.list_blobs(name_starts_with="l/", results_per_page=2).by_page())
    named = [[blob.name for blob in page] for page in pages]
    assert named == [["l/1", "l/1-"], ["l/10/a"]], named

    query = generate_blob_sas(ACCOUNT, "judged", "parts", account_key=KEY, permission="r",
                              start=datetime.now(timezone.utc) - timedelta(minutes=1),
                              expiry=datetime.now(timezone.utc) + timedelta(minutes=1), content_type="text/x")
    linked = BlobClient.from_blob_url(f"{parts.url}?{query}").download_blob()
    assert linked.readall() == b"hello world" and linked.properties.content_settings.content_type == "text/x"

    cold = container.get_blob_client("cold")
    cold.upload_blob(b"x", standard_blob_tier=StandardBlobTier.ARCHIVE)
    refused("BlobArchived", cold.download_blob)
    cold.set_standard_blob_tier(StandardBlobTier.HOT)

    if "--versions" in sys.argv:
        versions = [blob for blob in container.list_blobs(name_starts_with="a b", include=["versions"])]
        assert len(versions) == 2 and [bool(blob.is_current_version) for blob in versions] == [False, True], versions
        note.delete_blob()
        for blob in container.list_blobs(name_starts_with="a b", include=["versions"]):
            note.delete_blob(version_id=blob.version_id)
        assert not list(container.list_blobs(name_starts_with="a b", include=["versions"]))
    else:
        note.delete_blob()
    refused("BlobNotFound", note.delete_blob)
    wrong = BlobClient(endpoint, "judged", "parts", credential={"account_name": ACCOUNT, "account_key": "AAAA"}, retry_total=0)
    refused("AuthenticationFailed", wrong.download_blob)
    print("agreed")


main()
