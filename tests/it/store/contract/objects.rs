//! Objects as they go in and come out.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mediamill::error::Code;
use mediamill::store::{MAX_GET_BYTES, PutOptions, Store, StoreError};
use sha2::{Digest, Sha256};

use super::{LARGE_BYTES, OGG, noise};
use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, transient_as};

pub(super) async fn comes_back_as_it_went(store: &Store, dir: &Dir) {
    assert_eq!(store.get("a/none").await.expect("an answer"), None);
    assert_eq!(store.head("a/none").await.expect("an answer"), None);
    store.delete("a/none").await.expect("fine where there is none");
    for body in ["hello", ""] {
        let stored = store.put_file("a/f.ogg", &dir.write("f", body), OGG).await.expect("stored");
        assert_eq!((stored.key.as_str(), stored.size_bytes), ("a/f.ogg", body.len() as u64));
        assert_eq!(stored.sha256, hex::encode(Sha256::digest(body)));
        assert_eq!(store.get("a/f.ogg").await.expect("an answer").as_deref(), Some(body.as_bytes()));
        assert_eq!(store.head("a/f.ogg").await.expect("an answer").expect("is there").size_bytes, body.len() as u64);
        let stored = store.put_bytes("a/b", Bytes::from(body), OGG).await.expect("stored");
        assert_eq!(stored.sha256, hex::encode(Sha256::digest(body)));
        assert_eq!(store.get("a/b").await.expect("an answer").as_deref(), Some(body.as_bytes()));
    }
    store.delete("a/b").await.expect("removed");
    assert_eq!(store.get("a/b").await.expect("an answer"), None);
}

pub(super) async fn is_replaced_as_a_whole(store: &Store, dir: &Dir) {
    store.put_file("r", &dir.write("f", "something long"), OGG).await.expect("stored");
    store.put_file("r", &dir.write("f", "short"), OGG).await.expect("stored");
    assert_eq!(store.get("r").await.expect("an answer").as_deref(), Some(&b"short"[..]));
}

pub(super) async fn is_addressed_by_its_bytes(store: &Store, dir: &Dir) {
    let folder = store.folder("acme", "addressed");
    for body in [b"some bytes".to_vec(), noise(LARGE_BYTES)] {
        let sha256 = hex::encode(Sha256::digest(&body));
        let file = dir.write("f", &body);
        for _ in 0..2 {
            let stored = store.put_addressed(&folder, "audio.mp3", &file, OGG).await.expect("stored");
            assert_eq!((stored.key, stored.sha256), (folder.key(&sha256, "audio.mp3"), sha256.clone()));
        }
        let key = folder.key(&sha256, "audio.mp3");
        assert!(store.get(&key).await.expect("an answer").expect("is there") == body, "other bytes");
    }
    // Somebody else's bytes under the key are not taken for these. Not of an object in parts: s3s-fs would keep the checksum of
    // the one that is replaced.
    let key = folder.key(&hex::encode(Sha256::digest("some bytes")), "audio.mp3");
    let file = dir.write("f", "some bytes");
    store.put_bytes(&key, Bytes::from("damage"), OGG).await.expect("stored");
    store.put_addressed(&folder, "audio.mp3", &file, OGG).await.expect("stored");
    assert_eq!(store.get(&key).await.expect("an answer").expect("is there"), "some bytes");
    let other = PutOptions { sha256: Some("00"), ..OGG };
    let file = dir.write("f", "x");
    transient_as(Code::StoreChecksum, store.put_addressed(&folder, "audio.mp3", &file, other).await);
}

pub(super) async fn goes_into_a_file(store: &Store, dir: &Dir) {
    let (body, file) = (noise(100_000), dir.path().join("got"));
    store.put_bytes("g", Bytes::from(body.clone()), OGG).await.expect("stored");
    let got = store.get_file("g", &file, 100_000).await.expect("an answer").expect("is there");
    assert_eq!((got.size_bytes, got.sha256), (100_000, hex::encode(Sha256::digest(&body))));
    assert!(std::fs::read(&file).expect("a file") == body, "other bytes");
    assert!(store.get_file("g", &file, 99_999).await.is_err());
    assert!(store.get_file("none", &file, 99_999).await.expect("an answer").is_none());
}

pub(super) async fn is_refused_with_another_hash(store: &Store, dir: &Dir) {
    let file = dir.write("f", "the promised bytes");
    let promised = hex::encode(Sha256::digest("the promised bytes"));
    let options = PutOptions { sha256: Some(&promised), ..OGG };
    store.put_file("h", &file, options).await.expect("stored");
    dir.write("f", "other bytes");
    transient_as(Code::StoreChecksum, store.put_file("h", &file, options).await);
    transient_as(Code::StoreChecksum, store.put_bytes("h", Bytes::from("others"), options).await);
    assert_eq!(store.get("h").await.expect("an answer").as_deref(), Some(&b"the promised bytes"[..]));
    transient_as(Code::WorkerScratch, store.put_file("h", &dir.path().join("none"), OGG).await);
}

pub(super) async fn goes_in_parts(store: &Store, dir: &Dir) {
    let bytes = noise(LARGE_BYTES);
    let stored = store.put_file("large.mp4", &dir.write("f", &bytes), OGG).await.expect("stored");
    assert_eq!(stored.sha256, hex::encode(Sha256::digest(&bytes)));
    let back = store.get("large.mp4").await.expect("an answer").expect("is there");
    assert!(back == bytes, "other bytes came back");
}

pub(super) async fn is_too_large_for_memory(store: &Store) {
    let dir = Dir::new();
    let size = usize::try_from(MAX_GET_BYTES).expect("fits") + 1;
    store.put_file("huge", &dir.write("f", vec![0; size]), OGG).await.expect("stored");
    broken_as(Code::StoreLimitBytes, store.get("huge").await);
    assert_eq!(store.head("huge").await.expect("an answer").expect("is there").size_bytes, size as u64);
}

pub(super) async fn takes_any_id(store: &Store) {
    // Longer ones are cut to a length that S3 and file systems take, but s3s-fs does not.
    for (n, id) in ["whatsapp-9f2c==", "../../etc", "ü \"'<&>+%?#", "a\\b\0\n", &"long".repeat(20)].iter().enumerate()
    {
        let key = store.folder("tenant/1", id).key("00ff", "peaks.json");
        let body = Bytes::from(n.to_string());
        store.put_bytes(&key, body.clone(), OGG).await.unwrap_or_else(|err| panic!("{key}: {err}"));
        assert_eq!(store.get(&key).await.expect("an answer"), Some(body), "{key}");
    }
}

/// Any part of an object, as a player asks for it.
pub(super) async fn is_read_in_parts(store: &Store, dir: &Dir) {
    store.put_bytes("range", Bytes::from("0123456789"), OGG).await.expect("stored");
    store.put_bytes("empty", Bytes::new(), OGG).await.expect("stored");
    for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (3..5, "34"), (9..10, "9"), (8..999, "89")] {
        let got = store.get_range("range", range.clone()).await.expect("an answer").expect("is there");
        assert_eq!(got, expected, "{range:?}");
    }
    for (key, range) in [("range", 10..11), ("range", 999..1000), ("empty", 0..1)] {
        let result = store.get_range(key, range.clone()).await;
        assert!(matches!(result, Err(StoreError::Range)), "{key} {range:?}: {result:?}");
    }
    let empty = store.get_range("range", 5..5).await;
    assert!(matches!(empty, Err(StoreError::Invalid { .. })), "{empty:?}");
    broken_as(Code::StoreLimitBytes, store.get_range("range", 0..MAX_GET_BYTES + 1).await);
    assert_eq!(store.get_range("none", 0..1).await.expect("an answer"), None);
    let bytes = noise(LARGE_BYTES);
    store.put_file("large", &dir.write("f", &bytes), OGG).await.expect("stored");
    let middle = LARGE_BYTES / 2 - 300_000..LARGE_BYTES / 2 + 300_000;
    let mut reader =
        store.open("large", Some(middle.start as u64..middle.end as u64)).await.expect("an answer").expect("is there");
    assert_eq!(reader.size_bytes(), Some(LARGE_BYTES as u64), "of the whole object");
    let mut got = Vec::new();
    while let Some(piece) = reader.next().await.expect("bytes") {
        assert!(!piece.is_empty());
        got.extend_from_slice(&piece);
    }
    assert!(got == bytes[middle], "other bytes");
}

/// Whatever a key says, it leads nowhere but into the store.
pub(super) async fn is_named_by_a_key(store: &Store, dir: &Dir) {
    let file = dir.write("f", "x");
    for key in ["", "/", "/etc/passwd", "..", "../x", "a/..", "a/../../x", "./a", "a/./b", "a\0b", &"k".repeat(1025)] {
        broken_as(Code::WorkerBroken, store.put_file(key, &file, OGG).await);
        broken_as(Code::WorkerBroken, store.put_bytes(key, "x".into(), OGG).await);
        broken_as(Code::WorkerBroken, store.put_new(key, "x".into(), OGG).await);
        broken_as(Code::WorkerBroken, store.get(key).await);
        broken_as(Code::WorkerBroken, store.get_range(key, 0..1).await);
        broken_as(Code::WorkerBroken, store.get_file(key, &dir.path().join("got"), 1).await);
        broken_as(Code::WorkerBroken, store.head(key).await);
        broken_as(Code::WorkerBroken, store.delete(key).await);
        broken_as(Code::WorkerBroken, store.delete_all_versions(key).await);
    }
    for prefix in ["/", "../", "a/../b"] {
        broken_as(Code::WorkerBroken, store.list(prefix, None, 9).await);
    }
}

pub(super) async fn has_a_size_and_a_time(store: &Store) {
    let before = SystemTime::now();
    store.put_bytes("time", Bytes::from("12345"), OGG).await.expect("stored");
    let head = store.head("time").await.expect("an answer").expect("is there");
    let modified = head.modified.expect("a time");
    let apart = modified.duration_since(before).unwrap_or_else(|err| err.duration());
    assert!(head.size_bytes == 5 && apart < Duration::from_secs(10), "{head:?}");
    let listed = store.list("time", None, 9).await.expect("a list").objects.remove(0);
    assert_eq!((listed.key.as_str(), listed.size_bytes), ("time", 5));
    let apart = listed.modified.expect("a time").duration_since(before).unwrap_or_else(|err| err.duration());
    assert!(apart < Duration::from_secs(10), "{listed:?}");
}
