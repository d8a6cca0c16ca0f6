//! What goes by the store: `subject`, the sweeper, a rebuild.

use std::path::Path;
use std::time::Instant;

use mediamill::config::Config;
use mediamill::events::{ContactIds, Erase};
use mediamill::privacy::audit::AuditIndex;
use mediamill::roles::catalog::{Rebuild, hasher};
use mediamill::roles::privacy::{Conduct, sweep};
use mediamill::store::Store;

use super::MOST_GROWTH;
use crate::catalog::both;
use crate::privacy::steps::{normalized_of, world};
use crate::support::cmd::Dir;
use crate::support::say::say;

const PER_TENANT: u32 = 500;
/// Media of one person.
const PER_PERSON: u32 = 10;
/// Of so many media one is overdue.
const DUE_EVERY: u32 = 20;
/// How often `subject` is asked; the median counts.
const ASKED: usize = 5;

/// Files of these tenants.
pub(super) fn fill(root: &Path, tenants: std::ops::Range<u32>) {
    for tenant in tenants {
        for n in 0..PER_TENANT {
            let phone = format!("+1555{:06}", n / PER_PERSON);
            let due = (n % DUE_EVERY == 0).then_some("2026-01-01T00:00:00Z");
            normalized_of(root, &format!("t{tenant}"), &format!("m{n}"), (&phone, "a caption"), due);
        }
    }
}

fn conduct(config: &Config, store: &Store) -> Conduct {
    Conduct::new(config, store, None, "test").expect("a key")
}

/// Seconds that `subject` takes for a person of the first tenant.
pub(super) async fn asked(config: &Config, store: &Store, index: Option<&dyn AuditIndex>) -> f64 {
    let conduct = conduct(config, store);
    let contact = ContactIds { phone: Some("+1555000007".to_owned()), ..ContactIds::default() };
    let erase = Erase {
        tenant: "t0".to_owned(),
        media_id: None,
        contact: Some(contact),
        conversation_id: None,
        erased_at: None,
        reason: None,
    };
    let selector = conduct.eraser().selector(&erase).expect("a person");
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let begun = Instant::now();
        let found = conduct.subject(index, "t0", &selector).await.expect("an answer");
        times.push(begun.elapsed().as_secs_f64());
        let media = found.index.media.len();
        assert_eq!(Ok(media), usize::try_from(PER_PERSON), "all of the person's media, and no others");
    }
    times.sort_by(f64::total_cmp);
    times[ASKED / 2]
}

async fn rebuilt(config: &Config, store: &Store, media: u32) {
    for empty in both().await {
        let hasher = hasher(config);
        let rebuild = Rebuild { store, index: std::sync::Arc::clone(&empty.index), hasher: &hasher };
        let begun = Instant::now();
        let done = rebuild.run(&|_| ()).await.expect("rebuilt");
        let rate = f64::from(media) / begun.elapsed().as_secs_f64();
        assert_eq!((done.manifests, done.unreadable), (u64::from(media), 0));
        say(format_args!("| {}: rebuild, manifests/s | | {rate:.0} |", empty.name));
    }
}

#[tokio::test]
#[ignore = "measures: make catalog-scale"]
async fn subject_takes_no_longer_because_there_are_more_tenants() {
    let stored: u32 = std::env::var("STORED").ok().and_then(|stored| stored.parse().ok()).unwrap_or(20_000);
    let (few, many) = (2, (stored / PER_TENANT).max(4));
    let dir = Dir::new();
    let (config, _command) = world(&dir);
    let store = Store::connect(&config.store).await.expect("a store");
    let root = dir.path().join("store");
    fill(&root, 0..few);
    let before = asked(&config, &store, None).await;
    fill(&root, few..many);
    let after = asked(&config, &store, None).await;
    let media = many * PER_TENANT;
    say(format_args!("| what | {} media | {media} media |\n|---|---|---|", few * PER_TENANT));
    say(format_args!("| subject, s | {before:.3} | {after:.3} |"));
    rebuilt(&config, &store, media).await;
    let begun = Instant::now();
    let seen = sweep(&conduct(&config, &store), true).await.expect("swept");
    let due = u64::from(many * PER_TENANT.div_ceil(DUE_EVERY));
    assert_eq!((seen.media, seen.due, seen.erased), (u64::from(media), due, 0));
    say(format_args!("| sweeper looks, media/s | | {:.0} |", f64::from(media) / begun.elapsed().as_secs_f64()));
    let begun = Instant::now();
    let done = sweep(&conduct(&config, &store), false).await.expect("swept");
    assert_eq!(done.erased, due);
    let seconds = begun.elapsed().as_secs_f64();
    let due = u32::try_from(due).expect("small");
    say(format_args!("| sweeper erases {due} among them, media/s | | {:.0} |", f64::from(media) / seconds));
    assert!(after <= before * MOST_GROWTH, "subject grows from {before} s to {after} s");
}
