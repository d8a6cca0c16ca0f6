//! A content delivery network forgets what was erased.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::steps::{normalized, world};
use super::world::{fed, files, objects};
use crate::support::cmd::Dir;
use crate::support::http::{Http, answer};

/// A service that fails so often before it takes anything.
fn service(failures: usize) -> Http {
    let left = Arc::new(AtomicUsize::new(failures));
    Http::start(move |_asked| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = if fails { "503 Service Unavailable" } else { "202 Accepted" };
        answer(status, &["content-length: 0"], "")
    })
}

fn with(mut command: Command, purge: &Http) -> Command {
    command
        .env("MEDIAMILL_PRIVACY_PURGE_URL", purge.url("/purge"))
        .env("MEDIAMILL_PRIVACY_PURGE_TOKEN", "the token")
        .env("MEDIAMILL_PRIVACY_PURGE_ALLOW_PRIVATE", "true");
    command
}

/// What was posted, each with its token.
fn posted(purge: &Http) -> Vec<Value> {
    let asked = purge.asked();
    asked
        .iter()
        .map(|asked| {
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/purge"));
            assert!(asked.headers.iter().any(|line| line == "authorization: bearer the token"), "{:?}", asked.headers);
            serde_json::from_slice(&asked.body).expect("JSON")
        })
        .collect()
}

#[test]
fn an_erasure_is_finished_only_after_the_network_was_told() {
    let dir = Dir::new();
    let (_, command) = world(&dir);
    let store = dir.path().join("store");
    for media_id in ["m1", "a b", "other"] {
        normalized(&store, media_id, if media_id == "other" { "+15550199" } else { "+15550100" }, "a caption");
    }
    // As the store writes a key.
    std::fs::rename(store.join("acme/a b"), store.join("acme/a%20b")).expect("renamed");
    let purge = service(1);
    let erase = with(command(&["erase", "--tenant", "acme", "--offline"]), &purge);
    let run = fed(erase, "phone=+15550100\n").exits(1);
    assert!(run.stderr.contains("privacy.purge_url: it answers 503"), "{}", run.stderr);
    assert!(!run.stderr.contains("m1") && !run.stderr.contains("the token"), "{}", run.stderr);
    assert_eq!(objects(&store, "m1"), ["manifest.json"], "the objects are gone");
    assert_eq!(files(&store.join(".catalog/certificates")).len(), 0, "and nobody says that it is done");

    let run = fed(with(command(&["erase", "--resume", "--offline"]), &purge), "").exits(0);
    let certificate: Value = serde_json::from_str(&run.stdout).expect("a certificate");
    let number = certificate["number"].as_str().expect("a number");
    let wanted = json!({
        "id": format!("{number}-0"), "tenant": "acme", "certificate": number,
        "paths": ["/acme/a%2520b/*", "/acme/m1/*"],
    });
    assert_eq!(posted(&purge), [wanted.clone(), wanted], "the same twice");
    assert_eq!(objects(&store, "other").len(), 3, "somebody else's");
}

#[test]
fn many_media_are_told_of_a_hundred_at_a_time() {
    let dir = Dir::new();
    let (_, command) = world(&dir);
    let store = dir.path().join("store");
    for n in 0..101 {
        normalized(&store, &format!("m{n:03}"), "+15550100", "a caption");
    }
    let purge = service(0);
    fed(with(command(&["erase", "--tenant", "acme", "--offline"]), &purge), "phone=+15550100\n").exits(0);
    let posted = posted(&purge);
    let counts: Vec<_> = posted.iter().map(|posted| posted["paths"].as_array().expect("paths").len()).collect();
    assert_eq!(counts, [100, 1]);
    assert_ne!(posted[0]["id"], posted[1]["id"]);
}
