//! Objects that are written once, or against what was read.

use bytes::Bytes;
use mediamill::store::{PutOptions, Store};

use super::OGG;

pub(super) async fn is_made_once(store: &Store) {
    let put = |text: &'static str| store.put_new("once", Bytes::from(text), PutOptions::of("text/plain"));
    assert!(put("first").await.expect("an answer"));
    assert!(!put("second").await.expect("an answer"));
    assert_eq!(store.get("once").await.expect("an answer").as_deref(), Some(&b"first"[..]));
    store.delete("once").await.expect("removed");
    assert!(put("third").await.expect("an answer"));
    store.delete("once").await.expect("removed");
}

pub(super) async fn is_read_with_its_version(store: &Store) {
    assert!(store.get_versioned("v").await.expect("an answer").is_none());
    store.put_bytes("v", Bytes::from("one"), OGG).await.expect("stored");
    let (bytes, first) = store.get_versioned("v").await.expect("an answer").expect("is there");
    assert_eq!(bytes, "one");
    assert_eq!(store.get_versioned("v").await.expect("an answer").expect("is there").1, first);
    assert!(store.replace("v", Bytes::from("two"), OGG, &first).await.expect("an answer"));
    let (bytes, second) = store.get_versioned("v").await.expect("an answer").expect("is there");
    assert_eq!(bytes, "two");
    assert_ne!(first, second);
    store.delete("v").await.expect("removed");
}

/// Of two who replace what both read, the first one does.
pub(super) async fn is_replaced_against_a_version(store: &Store) {
    store.put_bytes("c", Bytes::from("first"), OGG).await.expect("stored");
    let (_, read) = store.get_versioned("c").await.expect("an answer").expect("is there");
    assert!(store.replace("c", Bytes::from("in time"), OGG, &read).await.expect("an answer"));
    assert!(!store.replace("c", Bytes::from("late"), OGG, &read).await.expect("an answer"));
    assert_eq!(store.get("c").await.expect("an answer").expect("is there"), "in time");
    store.delete("c").await.expect("removed");
    assert!(!store.replace("c", Bytes::from("later"), OGG, &read).await.expect("an answer"), "it is gone");
    assert_eq!(store.get("c").await.expect("an answer"), None);
}

/// Of many who replace what they read at the same moment, one does. s3s-fs writes an object and its checksum one after the
/// other, so that it is no judge of this.
pub(super) async fn is_replaced_by_one_of_many(store: &Store) {
    store.put_bytes("c", Bytes::from("first"), OGG).await.expect("stored");
    let (_, read) = store.get_versioned("c").await.expect("an answer").expect("is there");
    let tries = (0..8).map(|n| {
        let (store, read) = (store.clone(), read.clone());
        tokio::spawn(async move {
            let put = store.replace("c", Bytes::from(format!("by {n}")), OGG, &read).await;
            put.expect("an answer").then_some(n)
        })
    });
    let mut winners = Vec::new();
    for task in tries.collect::<Vec<_>>() {
        winners.extend(task.await.expect("no panic"));
    }
    let [winner] = winners[..] else { panic!("not one, but {winners:?}") };
    assert_eq!(store.get("c").await.expect("an answer").expect("is there"), format!("by {winner}"));
}

/// Of many who put a new object at the same moment, one does.
pub(super) async fn is_made_by_one_of_many(store: &Store) {
    let tries = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store.put_new("race", Bytes::from(format!("by {n}")), OGG).await.expect("an answer").then_some(n)
        })
    });
    let mut winners = Vec::new();
    for task in tries.collect::<Vec<_>>() {
        winners.extend(task.await.expect("no panic"));
    }
    let [winner] = winners[..] else { panic!("not one, but {winners:?}") };
    assert_eq!(store.get("race").await.expect("an answer").expect("is there"), format!("by {winner}"));
    store.delete("race").await.expect("removed");
}

/// Of one who removes an object and one who replaces what it read, at the same moment: it is never there afterwards.
pub(super) async fn stays_removed(store: &Store) {
    for _ in 0..20 {
        store.put_bytes("gone", Bytes::from("first"), OGG).await.expect("stored");
        let (_, read) = store.get_versioned("gone").await.expect("an answer").expect("is there");
        let (removed, replaced) =
            tokio::join!(store.delete_all_versions("gone"), store.replace("gone", Bytes::from("second"), OGG, &read));
        removed.expect("removed");
        replaced.expect("an answer");
        assert_eq!(store.get("gone").await.expect("an answer"), None);
    }
}
