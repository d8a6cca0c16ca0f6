//! What `subject` costs as the audit log grows with other people's entries.

use std::time::Instant;

use mediamill::privacy::audit::{Action, AuditIndex, AuditLog, Entry, extend};
use mediamill::store::Store;

use super::stored::{asked, fill};
use super::{MOST_GROWTH, NOISE};
use crate::catalog::both;
use crate::privacy::steps::world;
use crate::support::cmd::Dir;
use crate::support::say::say;

/// Entries of one tenant; more entries are more tenants.
const PER_TENANT: u32 = 1_000;
/// As many as the catalogue stores in one object when it is asked a lot.
const SEGMENT: usize = 500;

/// Views of media of these tenants, one a media.
async fn grow(log: &AuditLog, tenants: std::ops::Range<u32>) {
    for tenant in tenants {
        let view = |n: u32| {
            let mut entry = Entry::now("user agent", Action::View, &format!("t{tenant}"));
            entry.media_id = Some(format!("m{n}"));
            entry
        };
        let entries: Vec<Entry> = (0..PER_TENANT).map(view).collect();
        for segment in entries.chunks(SEGMENT) {
            log.append(segment).await.expect("stored");
        }
    }
}

#[tokio::test]
#[ignore = "measures: make catalog-scale"]
async fn subject_takes_no_longer_because_the_audit_log_is_longer() {
    let rows: u32 = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let (few, many) = (10, (rows / PER_TENANT).max(20));
    let dir = Dir::new();
    let (config, _command) = world(&dir);
    let store = Store::connect(&config.store).await.expect("a store");
    let log = AuditLog::new(&config.privacy, &store).expect("a key").expect("a log");
    fill(&dir.path().join("store"), 0..1);
    let databases = both().await;
    grow(&log, 0..few).await;
    let mut before = Vec::new();
    for empty in &databases {
        let index: &dyn AuditIndex = &*empty.index;
        extend(&store, index, true).await.expect("extended");
        before.push(asked(&config, &store, Some(index)).await);
    }
    grow(&log, few..many).await;
    let (few, many) = (few * PER_TENANT, many * PER_TENANT);
    say(format_args!("| what | {few} entries | {many} entries |\n|---|---|---|"));
    let mut missed = Vec::new();
    for (empty, before) in databases.iter().zip(before) {
        let (name, index): (_, &dyn AuditIndex) = (empty.name, &*empty.index);
        let begun = Instant::now();
        extend(&store, index, true).await.expect("extended");
        let rate = f64::from(many - few) / begun.elapsed().as_secs_f64();
        let after = asked(&config, &store, Some(index)).await;
        say(format_args!("| {name}: audit log into the index, entries/s | | {rate:.0} |"));
        say(format_args!("| {name}: subject, s | {before:.4} | {after:.4} |"));
        if after > before.max(NOISE.as_secs_f64()) * MOST_GROWTH {
            missed.push(format!("{name}: subject grows from {before} s to {after} s"));
        }
    }
    let whole = asked(&config, &store, None).await;
    say(format_args!("| no index: subject, s | | {whole:.4} |"));
    assert!(missed.is_empty(), "{missed:#?}");
}
