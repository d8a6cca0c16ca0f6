//! An erasure that was begun is finished, whichever step it ended at.

use std::path::Path;
use std::time::Duration;

use mediamill::config::{self, Config};
use mediamill::events::{ContactIds, Erase, ErasedBecause};
use mediamill::privacy::{ContactKey, Eraser, Erasure, Request, Scan};
use mediamill::store::Store;
use serde_json::{Value, json};

use super::world::{KEY, SEED, fed, files, objects, state};
use crate::support::cmd::{Dir, Run};
use crate::support::processes::wait_until;
use crate::support::s3::S3;

const PHONE: &str = "+15550100";
/// So many that an erasure of them takes longer than a process needs to be killed.
const KILLED_MEDIA: usize = 150;

/// A media as a worker leaves it: a manifest, the objects that it names, and one that no manifest names.
pub(crate) fn normalized(store: &Path, media_id: &str, phone: &str, caption: &str) {
    normalized_of(store, "acme", media_id, (phone, caption), None);
}

/// As [`normalized`], of any tenant, and with the end of its time.
pub(crate) fn normalized_of(
    store: &Path,
    tenant: &str,
    media_id: &str,
    (phone, caption): (&str, &str),
    expires_at: Option<&str>,
) {
    let folder = store.join(tenant).join(media_id);
    std::fs::create_dir_all(folder.join("ab")).expect("folders");
    for (name, bytes) in manifest(tenant, media_id, phone, caption, expires_at) {
        std::fs::write(folder.join(name), bytes).expect("written");
    }
}

fn manifest(
    tenant: &str,
    media_id: &str,
    phone: &str,
    caption: &str,
    expires_at: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut manifest = json!({
        "event_id": format!("id-{media_id}"), "time": "2026-11-22T10:00:01Z", "state": "normalized",
        "data": {
            "tenant": tenant, "media_id": media_id, "cause": "e", "revision": 1, "kind": "document",
            "original": {
                "mime_type": "application/pdf", "size_bytes": 1, "sha256": "ab", "container": "pdf", "damaged": false,
                "key": format!("{tenant}/{media_id}/ab/original.pdf"),
            },
            "assets": [],
            "decision": {
                "action": "kept-original", "reasons": [], "profile": "crm", "profile_version": "d3109f3f0aec",
                "bytes_before": 1, "bytes_after": 1,
            },
            "message": {
                "phone": phone, "caption": caption, "sent_at": "2026-11-22T10:00:00Z",
                "conversation_id": format!("with {phone}"),
            },
            "timings_ms": { "queue": 1, "fetch": 2, "decode": 3, "store": 4, "total": 10 },
            "worker": {
                "version": "0.1.0", "libav": {},
                "sandbox": { "mode": "required", "landlock": "full", "landlock_abi": 7, "seccomp": true },
            },
        },
    });
    if let Some(expires_at) = expires_at {
        manifest["data"]["expires_at"] = expires_at.into();
    }
    vec![("manifest.json", manifest.to_string()), ("ab/original.pdf", "x".to_owned()), ("ab/orphan", "y".to_owned())]
}

/// A configuration and a command for a store in `dir/store`.
pub(crate) fn world(dir: &Dir) -> (Config, impl Fn(&[&str]) -> std::process::Command) {
    let store = dir.path().join("store");
    std::fs::create_dir_all(&store).expect("a folder");
    let env = [
        ("MEDIAMILL_STORE_URL".to_owned(), format!("file://{}", store.display())),
        ("MEDIAMILL_PRIVACY_KEY".to_owned(), KEY.to_owned()),
        ("MEDIAMILL_PRIVACY_AUDIT_KEY".to_owned(), SEED.to_owned()),
    ];
    let pairs = env.iter().map(|(name, value)| (name.into(), value.into()));
    let config = config::load(None, pairs, &[]).expect("a valid configuration");
    let path = dir.path().to_owned();
    let command = move |args: &[&str]| {
        let mut command = crate::support::cmd::program();
        command.args(args).current_dir(&path).envs(env.iter().cloned());
        command
    };
    (config, command)
}

/// Goes so many steps of an erasure and leaves it there.
async fn left_at(eraser: &Eraser, find: &Scan, step: usize) -> Erasure {
    let contact = Some(ContactIds { phone: Some(PHONE.to_owned()), ..ContactIds::default() });
    let erase = Erase {
        tenant: "acme".to_owned(),
        media_id: None,
        contact,
        conversation_id: None,
        erased_at: None,
        reason: None,
    };
    let request = Request {
        number: "c-1".to_owned(),
        tenant: "acme".to_owned(),
        selector: eraser.selector(&erase).expect("a selector"),
        because: ErasedBecause::Request,
        reason: None,
        erased_at: jiff::Timestamp::now(),
    };
    let mut erasure = eraser.begin(request).await.expect("begun");
    if step > 1 {
        eraser.plan(&mut erasure, find).await.expect("planned");
    }
    if step > 2 {
        eraser.carry_out(&erasure, &[]).await.expect("carried out");
    }
    erasure
}

#[tokio::test]
async fn an_erasure_that_ended_at_a_step_is_finished_by_the_next_one() {
    for step in 1..=3 {
        let dir = Dir::new();
        let (config, command) = world(&dir);
        let store = dir.path().join("store");
        for n in 0..5 {
            normalized(&store, &format!("m{n}"), PHONE, "a secret caption");
        }
        normalized(&store, "other", "+15550101", "another caption");
        let connected = Store::connect(&config.store).await.expect("a store");
        let eraser = Eraser::new(&config, &connected);
        let scan = Scan::new(connected.clone(), ContactKey::new(&config.privacy));
        left_at(&eraser, &scan, step).await;
        assert_eq!(eraser.begun().await.expect("a list").len(), 1);
        let run = Run::of(&mut command(&["erase", "--resume", "--offline"])).exits(0);
        let certificate: Value = serde_json::from_str(&run.stdout).expect("a certificate");
        assert_eq!((&certificate["number"], &certificate["media"]), (&json!("c-1"), &json!(5)), "step {step}");
        assert_eq!(certificate["objects"], json!(15), "as many as there were, whoever removed them");
        assert!(eraser.begun().await.expect("a list").is_empty());
        for n in 0..5 {
            assert_eq!(objects(&store, &format!("m{n}")), ["manifest.json"]);
        }
        assert_eq!(state(&store, "other"), "normalized");
        let found = files(&store).into_iter().any(|path| {
            let bytes = std::fs::read(path).expect("readable");
            ["secret caption", "5550100"]
                .iter()
                .any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
        });
        assert!(!found, "caption and number are nowhere");
    }
}

#[test]
fn a_conversation_is_erased_up_to_a_time_and_under_the_key_before() {
    let dir = Dir::new();
    let (_, command) = world(&dir);
    let store = dir.path().join("store");
    normalized(&store, "mine", PHONE, "a caption");
    normalized(&store, "other", "+15550101", "a caption");
    let before = ["erase", "--tenant", "acme", "--offline", "--sent-until", "2026-11-22T09:59:59Z"];
    let run = fed(command(&before), &format!("conversation_id=with {PHONE}\n")).exits(0);
    assert!(run.stdout.contains("\"media\": 0"), "what was sent later stays: {}", run.stdout);
    // The key has changed since, and a record of the person stands under the old one.
    let erase = ["erase", "--tenant", "acme", "--offline"];
    let mut changed = command(&erase);
    changed
        .env("MEDIAMILL_PRIVACY_KEY", "another key of tests, long enough")
        .env("MEDIAMILL_PRIVACY_KEY_PREVIOUS", KEY);
    let run = fed(changed, &format!("conversation_id=with {PHONE}\n")).exits(0);
    assert!(run.stdout.contains("\"media\": 1"), "{}", run.stdout);
    assert_eq!((state(&store, "mine"), state(&store, "other")), (json!("erased"), json!("normalized")));
    for wrong in ["", "phone=\n", "phone=+15550100\nconversation_id=x\n", "+15550100\n"] {
        let run = fed(command(&erase), wrong).exits(2);
        assert!(!run.stderr.contains("5550100"), "{}", run.stderr);
    }
    let mut keyless = command(&erase);
    keyless.env("MEDIAMILL_PRIVACY_KEY", "");
    assert!(fed(keyless, "phone=+15550100\n").exits(2).stderr.contains("privacy.key is empty"));
}

/// Erasures that were begun and are not finished, without what is half written.
fn begun(store: &Path) -> usize {
    let erasures = files(&store.join(".catalog/erasures"));
    erasures.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).count()
}

#[test]
fn an_erasure_that_is_killed_is_finished() {
    let mut unfinished = 0;
    for delay_ms in [0, 1, 2, 4, 8, 16] {
        let dir = Dir::new();
        let (_, command) = world(&dir);
        let store = dir.path().join("store");
        for n in 0..KILLED_MEDIA {
            normalized(&store, &format!("m{n}"), PHONE, "a secret caption");
        }
        let identity = dir.write("identity", format!("phone={PHONE}\n"));
        let input = std::fs::File::open(identity).expect("a file");
        let mut child = command(&["erase", "--tenant", "acme", "--offline"])
            .stdin(input)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        wait_until("an erasure", || {
            let is_over = child.try_wait().expect("a status").is_some();
            is_over || begun(&store) > 0
        });
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().expect("killed");
        child.wait().expect("it ended");
        unfinished += begun(&store);
        Run::of(&mut command(&["erase", "--resume", "--offline"])).exits(0);
        for n in 0..KILLED_MEDIA {
            assert_eq!(objects(&store, &format!("m{n}")), ["manifest.json"], "after {delay_ms} ms");
        }
        assert_eq!(files(&store.join(".catalog/certificates")).len(), 1);
    }
    assert!(unfinished > 0, "none was killed in the middle: too few media for this machine");
}

#[tokio::test]
async fn of_a_bucket_with_versions_nothing_but_the_tombstone_is_left() {
    let Some(s3) = S3::moto().await else { return };
    s3.keep_versions().await;
    let store = Store::connect(&s3.store_config()).await.expect("a store");
    let folder = store.folder("acme", "m");
    let options = mediamill::store::PutOptions::of("application/json");
    for revision in ["one", "two"] {
        for (name, _) in manifest("acme", "m", PHONE, "", None) {
            let key = format!("{}{name}", folder.prefix());
            let bytes = manifest("acme", "m", PHONE, revision, None)[0].1.clone();
            store.put_bytes(&key, bytes.into(), options).await.expect("stored");
        }
    }
    let gone = format!("{}ab/gone", folder.prefix());
    store.put_bytes(&gone, "x".into(), options).await.expect("stored");
    store.delete(&gone).await.expect("a mark");
    let (dir, erase) = (Dir::new(), ["erase", "--tenant", "acme", "--media-id", "m", "--offline"]);
    let mut command = dir.command();
    command.args(erase).envs(s3.env()).env("MEDIAMILL_PRIVACY_KEY", KEY);
    let run = fed(command, "").exits(0);
    let certificate: Value = serde_json::from_str(&run.stdout).expect("a certificate");
    assert_eq!((&certificate["objects"], &certificate["versions"]), (&json!(3), &json!(8)), "{certificate:#}");
    let mut left = 0;
    for name in ["manifest.json", "ab/original.pdf", "ab/orphan", "ab/gone"] {
        let (versions, marks) = s3.versions(&format!("{}{name}", folder.prefix())).await;
        left += versions + marks;
    }
    assert_eq!(left, 1, "the tombstone");
}
