//! How long a deleted object lives on: what a store says of itself, and what `doctor` makes of it.

use std::process::Command;

use mediamill::config::Location;
use mediamill::store::{Deletion, Known, Lock, Store, Versions, lifecycle};
use serde_json::{Value, json};

use super::faults::Behind;
use crate::support::cmd::{Dir, Run};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, Seen};
use crate::support::gcs::Gcs;
use crate::support::s3::S3;

/// What Amazon answers of a bucket, where versions are kept and where they never were.
const VERSIONED: &str = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
const PLAIN: &str = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";

/// moto's answer to this one question has a root element of another name than Amazon's, which the SDK does not read; seaweedfs
/// answers it as Amazon does.
fn corrected(seen: Seen<'_>, answer: &'static str) -> Act {
    if seen.method == "GET" && seen.path.contains("?versioning") { Act::Answer(200, answer) } else { Act::Pass }
}

fn gate(moto: &S3, answer: &'static str) -> Gate {
    Gate::start(&moto.endpoint(), move |seen| corrected(seen, answer))
}

async fn of(config: &mediamill::config::Store) -> Deletion {
    Store::connect(config).await.expect("a store").deletion().await.expect("an answer")
}

/// The line of `doctor` about it.
fn told(env: &[(String, String)]) -> Value {
    let dir = Dir::new();
    let mut command: Command = dir.command();
    command.envs(env.iter().cloned()).args(["doctor", "--format", "json", "--set", "broker.url=amqp://127.0.0.1:1/v"]);
    let lines = Run::of(&mut command).json_lines();
    lines.into_iter().find(|line| line["what"] == "deletion").expect("a line about it")
}

#[tokio::test]
async fn a_directory_and_a_plain_bucket_keep_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(Store::local(dir.path()).deletion().await.expect("an answer"), Deletion::at_once());
    assert_eq!(of(&S3::start().store_config()).await, Deletion::at_once(), "a server that knows no versions");
    if let Some(s3) = S3::seaweed().await {
        assert_eq!(of(&s3.store_config()).await, Deletion::at_once());
    }
    if let Some(s3) = S3::moto().await {
        let gate = gate(&s3, PLAIN);
        assert_eq!(of(&s3.access().via(&gate.url()).config()).await, Deletion::at_once());
    }
    if let Some(gcs) = Gcs::fake_gcs_server().await {
        assert_eq!(of(&gcs.store_config()).await, Deletion::at_once());
    }
    let env = [("MEDIAMILL_STORE_URL".to_owned(), format!("file://{}", dir.path().display()))];
    let line = told(&env);
    assert_eq!((&line["state"], &line["found"]), (&json!("ok"), &json!("what is deleted is gone at once")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_told_with_the_days_of_the_rule_that_removes_them() {
    for s3 in [S3::moto().await, S3::seaweed().await].into_iter().flatten() {
        s3.keep_versions().await;
        let is_moto = s3.is_moto();
        let gate =
            Gate::start(&s3.endpoint(), move |seen| if is_moto { corrected(seen, VERSIONED) } else { Act::Pass });
        let behind = s3.access().via(&gate.url());
        let kept =
            |days| Deletion { versions: Known::Is(Versions::Kept { days: Known::Is(days) }), ..Deletion::at_once() };
        assert_eq!(of(&behind.config()).await, kept(None), "{}", s3.endpoint());
        let line = told(&behind.env());
        assert_eq!(line["state"], "lacking");
        assert!(line["found"].as_str().is_some_and(|found| found.contains("lives on without end")), "{line}");
        // Of another folder of the bucket, and then of the store's own.
        for (prefix, days) in [("other", None), ("assets", Some(31))] {
            let location = Location::S3 { bucket: "media".to_owned(), prefix: prefix.to_owned() };
            s3.rules_after(&lifecycle(&location).expect("rules").to_string()).await;
            assert_eq!(of(&behind.config()).await, kept(days), "{prefix} {}", s3.endpoint());
        }
        let line = told(&behind.env());
        assert!(line["found"].as_str().is_some_and(|found| found.contains("lives on for 31 days")), "{line}");
    }
}

#[tokio::test]
async fn an_object_lock_and_replication_are_told() {
    let Some(s3) = S3::moto().await else { return };
    s3.lock_and_copy("locked", 30).await;
    let gate = gate(&s3, VERSIONED);
    let mut config = s3.access().via(&gate.url()).config();
    config.url = "s3://locked/assets".to_owned();
    let found = of(&config).await;
    assert_eq!((found.lock, found.copies), (Known::Is(Lock::Seconds(30 * 86_400)), Known::Is(true)));
    assert!(matches!(found.versions, Known::Is(Versions::Kept { .. })), "a bucket with a lock keeps versions");
}

#[tokio::test]
async fn what_the_store_refuses_to_say_is_unknown_with_the_permission_that_is_missing() {
    let Some(s3) = S3::moto().await else { return };
    let asked = ["versioning", "object-lock", "replication"];
    let world = Behind::new(s3, move |seen| {
        if asked.iter().any(|word| seen.path.contains(word)) { Act::Answer(403, ACCESS_DENIED) } else { Act::Pass }
    })
    .await;
    let found = world.store.deletion().await.expect("an answer");
    let expected = Deletion {
        versions: Known::NotPermitted("s3:GetBucketVersioning"),
        soft_delete_s: Known::Is(0),
        lock: Known::NotPermitted("s3:GetBucketObjectLockConfiguration"),
        copies: Known::NotPermitted("s3:GetReplicationConfiguration"),
    };
    assert_eq!(found, expected);
}

/// One emulator knows soft delete, the other one versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_soft_delete_and_versions_are_told() {
    if let Some(gcs) = Gcs::gcp_storage_emulator().await {
        // As at Google, a new bucket keeps what is deleted for 7 days.
        assert_eq!(
            of(&gcs.store_config()).await,
            Deletion { soft_delete_s: Known::Is(604_800), ..Deletion::at_once() }
        );
        let line = told(&gcs.env());
        assert!(line["found"].as_str().is_some_and(|found| found.contains("brought back for 7 days")), "{line}");
        gcs.patch_bucket(&json!({ "softDeletePolicy": { "retentionDurationSeconds": "0" } })).await;
        assert_eq!(of(&gcs.store_config()).await, Deletion::at_once());
    }
    if let Some(gcs) = Gcs::fake_gcs_server().await {
        gcs.patch_bucket(&json!({ "versioning": { "enabled": true } })).await;
        let versions = Known::Is(Versions::Kept { days: Known::Is(None) });
        assert_eq!(of(&gcs.store_config()).await, Deletion { versions, ..Deletion::at_once() });
    }
}
