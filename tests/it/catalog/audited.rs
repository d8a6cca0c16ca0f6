//! The index of the audit log on both databases: it finds what reading the whole log finds.

use std::collections::BTreeSet;

use mediamill::privacy::ContactHash;
use mediamill::privacy::audit::{
    Action, AuditIndex, AuditLog, AuditPlace, Entry, about_media, about_person, entries_about, extend,
};
use mediamill::store::Store;

use super::both;
use crate::privacy::steps::world;
use crate::support::cmd::Dir;

fn hash(n: u8) -> ContactHash {
    ContactHash::from_hex(&hex::encode([n; 32])).expect("a hash")
}

fn viewed(tenant: &str, media_id: &str, contact: Option<u8>) -> Entry {
    let mut entry = Entry::now("user a", Action::View, tenant);
    entry.media_id = Some(media_id.to_owned());
    entry.contact = contact.map(hash).into_iter().collect();
    entry
}

async fn log(dir: &Dir) -> (Store, AuditLog) {
    let (config, _command) = world(dir);
    let store = Store::connect(&config.store).await.expect("a store");
    let log = AuditLog::new(&config.privacy, &store).expect("a key").expect("a log");
    (store, log)
}

/// Media of the entries about a person and a media, with the index and without.
async fn found(store: &Store, index: &dyn AuditIndex) -> Vec<String> {
    let whom: BTreeSet<String> = [about_person(&hash(1)), about_media("mine")].into();
    let by_index = entries_about(store, Some(index), "acme", &whom).await.expect("read");
    let by_log = entries_about(store, None, "acme", &whom).await.expect("read");
    assert_eq!(by_index, by_log);
    by_index.into_iter().filter_map(|entry| entry.media_id).collect()
}

#[tokio::test]
async fn the_index_finds_what_the_whole_log_has() {
    for empty in both().await {
        let dir = Dir::new();
        let (store, log) = log(&dir).await;
        let index: &dyn AuditIndex = &*empty.index;
        assert_eq!(found(&store, index).await, [""; 0], "{}", empty.name);
        log.append(&[viewed("acme", "mine", None), viewed("acme", "other", Some(2))]).await.expect("stored");
        log.append(&[viewed("globex", "mine", Some(1))]).await.expect("stored");
        assert_eq!(found(&store, index).await, ["mine"], "nothing is in the index of {}", empty.name);
        assert_eq!(extend(&store, index, false).await.expect("extended"), 3);
        assert_eq!(found(&store, index).await, ["mine"], "all is in the index of {}", empty.name);
        log.append(&[viewed("acme", "first", Some(1)), viewed("acme", "x", None)]).await.expect("stored");
        assert_eq!(found(&store, index).await, ["mine", "first"], "some is behind the index of {}", empty.name);
        assert_eq!(extend(&store, index, true).await.expect("extended"), 5);
        assert_eq!(extend(&store, index, true).await.expect("nothing new"), 5);
        assert_eq!(found(&store, index).await, ["mine", "first"], "{}", empty.name);
        assert_eq!(index.segments("acme", &about_person(&hash(1))).await.expect("asked"), [3], "{}", empty.name);
    }
}

#[tokio::test]
async fn of_two_processes_one_extends_the_index_from_a_place() {
    for empty in both().await {
        let dir = Dir::new();
        let (store, log) = log(&dir).await;
        let index: &dyn AuditIndex = &*empty.index;
        let before = index.place().await.expect("asked");
        log.append(&[viewed("acme", "mine", None)]).await.expect("stored");
        extend(&store, index, false).await.expect("extended");
        let after = index.place().await.expect("asked");
        assert_eq!(after.entries, 1, "{}", empty.name);
        let to = AuditPlace { entries: 9, last: None };
        assert!(!index.add_named(&[], &before, &to).await.expect("answered"), "{}", empty.name);
        assert_eq!(index.place().await.expect("asked"), after, "{}", empty.name);
        // What would begin from an outdated place forgets nothing either.
        index.forget_named(&before).await.expect("answered");
        assert_eq!(index.segments("acme", &about_media("mine")).await.expect("asked"), [0], "{}", empty.name);
    }
}

#[tokio::test]
async fn a_log_from_a_backup_is_read_again_and_a_gap_hides_no_later_entry() {
    for empty in both().await {
        let (old, new) = (Dir::new(), Dir::new());
        let index: &dyn AuditIndex = &*empty.index;
        let (store, first) = log(&old).await;
        first.append(&[viewed("acme", "mine", None), viewed("acme", "other", Some(1))]).await.expect("stored");
        extend(&store, index, false).await.expect("extended");
        let (store, second) = log(&new).await;
        for media_id in ["mine", "x", "mine", "other"] {
            second.append(&[viewed("acme", media_id, None)]).await.expect("stored");
        }
        assert_eq!(found(&store, index).await, ["mine", "mine"], "{}: the index is of the other log", empty.name);
        assert_eq!(extend(&store, index, false).await.expect("extended"), 4, "{}", empty.name);
        assert_eq!(found(&store, index).await, ["mine", "mine"], "{}", empty.name);
        assert_eq!(index.segments("acme", &about_person(&hash(1))).await.expect("asked"), [0_u64; 0], "{}", empty.name);
        index.forget_named(&index.place().await.expect("asked")).await.expect("emptied");
        let gap = new.path().join("store/.catalog/audit/entries/0000000000000001.jsonl");
        std::fs::remove_file(gap).expect("removed");
        assert_eq!(extend(&store, index, false).await.expect("extended"), 1, "{}: up to the gap", empty.name);
        assert_eq!(extend(&store, index, true).await.expect("extended"), 4, "{}: behind it", empty.name);
        assert_eq!(found(&store, index).await, ["mine", "mine"], "{}", empty.name);
    }
}
