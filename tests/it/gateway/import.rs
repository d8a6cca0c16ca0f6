//! Files from before there was a gateway.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::cmd::Run;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, fixture};
use crate::support::s3::S3;

/// The requests that wait in the bulk lane.
fn requests(rig: &Rig) -> Vec<Value> {
    let found = rig.bus.take_all("bulk");
    found.into_iter().map(|found| serde_json::from_slice(&found.body).expect("JSON")).collect()
}

fn ids(requests: &[Value]) -> BTreeSet<String> {
    requests.iter().map(|request| request["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_folder_is_asked_for_once_however_often_it_is_imported() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let files = rig.dir.path().join("old");
    std::fs::create_dir_all(files.join("Ana")).expect("a directory");
    for (name, bytes) in [("a.ogg", "1"), ("Ana/a.ogg", "1"), ("b.pdf", "2"), (".hidden", "3"), ("empty.ogg", "")] {
        std::fs::write(files.join(name), bytes).expect("a file");
    }
    let source = files.display().to_string();
    let import = || Run::of(&mut rig.command(&["import", &source, "--tenant", "acme", "--rate", "0"]));
    let first = import().exits(1);
    assert_eq!(first.stdout, "3 requests published, 1 files left out\n");
    let requests_once = requests(&rig);
    assert_eq!((requests_once.len(), ids(&requests_once).len()), (3, 3));
    import().exits(1);
    assert_eq!(ids(&requests(&rig)), ids(&requests_once), "the same again");
    for request in &requests_once {
        let id = request["data"]["media_id"].as_str().expect("an id");
        assert!(id.starts_with("import-") && id.len() == 39, "{id}");
        let path = request["data"]["origin"]["path"].as_str().expect("a path");
        assert!(std::path::Path::new(path).exists() && path.contains("/.inbox/"), "{path}");
    }
    let none = Run::of(&mut rig.command(&["import", "/nonexistent", "--tenant", "acme"])).exits(2);
    assert!(none.stderr.contains("is no folder"), "{}", none.stderr);
}

#[test]
fn an_exported_chat_says_who_sent_what_and_names_of_entries_lead_nowhere() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let path = rig.dir.path().join("chat.zip");
    let mut archive = ZipWriter::new(std::fs::File::create(&path).expect("a file"));
    let text = "27/11/26, 10:00 - Ana: PTT-1.opus (file attached)\n27/11/26, 10:01 - Desk: offer.pdf (file attached)\n";
    for (name, bytes) in
        [("_chat.txt", text), ("PTT-1.opus", "voice"), ("offer.pdf", "%PDF-"), ("../../evil.opus", "evil")]
    {
        archive.start_file(name, SimpleFileOptions::default()).expect("an entry");
        archive.write_all(bytes.as_bytes()).expect("written");
    }
    archive.finish().expect("an archive");
    let source = path.display().to_string();
    let run = Run::of(&mut rig.command(&["import", &source, "--tenant", "acme", "--me", "Desk"])).exits(0);
    assert_eq!(run.stdout, "2 requests published, 0 files left out\n");
    let requests = requests(&rig);
    let of = |name: &str| {
        let request = requests.iter().find(|request| request["data"]["declared"]["file_name"] == name);
        request.unwrap_or_else(|| panic!("no request for {name}"))["data"]["message"].clone()
    };
    let (voice, offer) = (of("PTT-1.opus"), of("offer.pdf"));
    assert_eq!((&voice["direction"], &voice["contact_name"]), (&"inbound".into(), &"Ana".into()));
    assert_eq!((&offer["direction"], offer.get("contact_name")), (&"outbound".into(), None));
    std::fs::write(&path, "no archive").expect("a file");
    Run::of(&mut rig.command(&["import", &source, "--tenant", "acme"])).exits(2);
}

#[test]
fn objects_below_a_prefix_are_asked_for_where_they_are_and_a_worker_with_that_bucket_takes_them() {
    let Some(rabbit) = calm() else { return };
    let (mut rig, s3) = (Rig::new(rabbit), S3::start());
    for (name, value) in s3.env() {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    rig.set("STORE_URL", format!("s3://{}/store", s3.bucket()));
    rig.set("SOURCE_S3_BUCKETS", serde_json::json!([s3.bucket()]));
    let note = std::fs::read(fixture("voice-note.ogg")).expect("a fixture");
    for (key, bytes) in [
        ("old/2025/Ana/PTT.ogg", &note[..]),
        ("old/2025/contact.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana\r\nEND:VCARD\r\n"),
        ("old/2025/empty.ogg", b""),
        ("old/2026/another-year.ogg", b"1"),
    ] {
        let path = s3.file(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, bytes).expect("an object");
    }
    let source = format!("s3://{}/old/2025/", s3.bucket());
    let import = || Run::of(&mut rig.command(&["import", &source, "--tenant", "acme", "--rate", "0"]));
    let first = import().exits(1);
    assert_eq!(first.stdout, "2 requests published, 1 files left out\n", "{}", first.stderr);
    let once = requests(&rig);
    let keys: BTreeSet<_> =
        once.iter().map(|request| request["data"]["origin"]["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, BTreeSet::from(["old/2025/Ana/PTT.ogg", "old/2025/contact.vcf"]));
    for request in &once {
        let id = request["data"]["media_id"].as_str().expect("an id");
        assert!(id.starts_with("import-") && id.len() == 39 && !id.contains("Ana"), "{id}");
    }
    import().exits(1);
    let worker = rig.worker();
    for request in &once {
        let outcome = rig.bus.ledger().wait(request["data"]["media_id"].as_str().expect("an id"), SOON);
        assert_eq!(outcome.data()["cause"], request["id"], "the same request again: {:#}", outcome.event);
        rig.vouch(&outcome);
    }
    worker.stops();
    let none = Run::of(&mut rig.command(&["import", "s3://no-such-bucket/old/", "--tenant", "acme"]));
    assert!(none.code != Some(0) && none.stdout.is_empty(), "{}", none.stdout);
}
