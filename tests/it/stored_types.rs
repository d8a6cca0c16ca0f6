//! With which type objects are stored: a file that a stranger sends must not run in the browser of whoever opens it.

use serde_json::json;

use crate::support::bus::block_on;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event_from, fixture, letter};
use crate::support::s3::S3;

const HTML: &str = "<!DOCTYPE html><script>alert(document.domain)</script>";
const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
const XML: &str = "<?xml version=\"1.0\"?><?xml-stylesheet href=\"x.xsl\"?><a/>";

#[test]
fn documents_that_browsers_run_are_stored_to_be_saved() {
    let Some(rabbit) = calm() else { return };
    let Some(s3) = block_on(S3::moto()) else { return };
    let mut rig = Rig::new(rabbit);
    for (name, value) in s3.env() {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    let worker = rig.worker();
    let picture = std::fs::read(fixture("photo-exif.jpg")).expect("a fixture");
    for (media_id, bytes, content_type, disposition) in [
        ("page", HTML.as_bytes(), "text/html", "attachment; filename=\"original.html\""),
        ("drawing", SVG.as_bytes(), "image/svg+xml", "attachment; filename=\"original.svg\""),
        ("feed", XML.as_bytes(), "text/xml", "attachment; filename=\"original.xml\""),
        ("photo", picture.as_slice(), "image/jpeg", "inline; filename=\"original.jpg\""),
    ] {
        // Whatever its sender calls it.
        let file = rig.file(&format!("{media_id}.jpg"), bytes);
        let mut event = event_from(media_id, json!({ "kind": "file", "path": file }));
        event["data"]["declared"] = json!({ "mime_type": "image/jpeg", "file_name": "holiday.jpg" });
        rig.bus.publish(&letter(&event));
        let outcome = rig.bus.ledger().wait(media_id, SOON);
        assert_eq!(outcome.word, "normalized", "{:#}", outcome.event);
        let key = outcome.asset("original")["key"].as_str().expect("a key").to_owned();
        let url = format!("{}/{}/{key}", s3.endpoint(), s3.bucket());
        let head = reqwest::Client::new().head(&url).header("authorization", "AWS x:y").send();
        let head = block_on(head).expect("an answer");
        let header = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!(header("cache-control"), "private, max-age=300", "{key}");
        // The customer's name is in no header: keys, names and metadata show in lists and logs.
        assert!(!format!("{:?}", head.headers()).contains("holiday"), "{key}");
        assert_eq!((header("content-type"), header("content-disposition")), (content_type, disposition), "{key}");
    }
    worker.stops();
}
