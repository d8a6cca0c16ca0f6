//! The contract: an object is there as a whole, with the SHA-256 that was said of it, or it is not there.

use std::path::Path;

use bytes::Bytes;
use mediamill::error::Code;
use mediamill::store::{MAX_GET_BYTES, PutOptions, Store};
use sha2::{Digest, Sha256};

use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, transient_as};
use crate::support::s3::S3;

const OGG: PutOptions<'_> = PutOptions::of("audio/ogg");

/// Two parts of S3's smallest size, and a third one of a single byte.
const LARGE_BYTES: usize = (10 << 20) + 1;

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let dir = Dir::new();
    let store = Store::local(dir.path());
    keeps_the_contract(&store).await;
    is_replaced_against_a_version(&store).await;
    is_replaced_by_one_of_many(&store).await;
    is_too_large_for_memory(&store).await;
    let names = walk(dir.path());
    assert!(names.iter().all(|name| !name.contains(".~")), "temporary files are left: {names:?}");
    has_no_bucket(&Store::local(dir.path().join("none"))).await;
}

#[tokio::test]
async fn s3s_keeps_the_contract() {
    let s3 = S3::start();
    let mut config = s3.store_config();
    let store = Store::connect(&config).await.expect("a store");
    keeps_the_contract(&store).await;
    // Not with moto, which takes If-Match with every PUT and looks at none.
    is_replaced_against_a_version(&store).await;
    is_too_large_for_memory(&store).await;
    config.checksums = "when-required".to_owned();
    keeps_the_contract(&Store::connect(&config).await.expect("a store")).await;
    assert_eq!(s3.pending_uploads().await, 0);
}

#[tokio::test]
async fn moto_keeps_the_contract() {
    let Some(s3) = S3::moto().await else { return };
    let mut config = s3.store_config();
    let store = Store::connect(&config).await.expect("a store");
    keeps_the_contract(&store).await;
    is_too_large_for_memory(&store).await;
    config.checksums = "when-required".to_owned();
    keeps_the_contract(&Store::connect(&config).await.expect("a store")).await;
    assert_eq!(s3.pending_uploads().await, 0);
    config.url = "s3://nobodys-bucket".to_owned();
    has_no_bucket(&Store::connect(&config).await.expect("a store")).await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let s3 = S3::start();
    let store = Store::connect(&s3.access().with_wrong_secret().config()).await.expect("a store");
    let dir = Dir::new();
    let file = dir.write("f", "hello");
    let said = broken_as(Code::StoreForbidden, store.put_file("k", &file, OGG).await);
    assert!(said.contains("SignatureDoesNotMatch") && !said.contains("wrong"), "{said}");
    broken_as(Code::StoreForbidden, store.get("k").await);
    broken_as(Code::StoreForbidden, store.head("k").await);
    broken_as(Code::StoreForbidden, store.delete("k").await);
    broken_as(Code::StoreForbidden, store.check().await);
}

async fn keeps_the_contract(store: &Store) {
    let dir = Dir::new();
    comes_back_as_it_went(store, &dir).await;
    is_replaced_as_a_whole(store, &dir).await;
    is_made_once(store).await;
    is_read_with_its_version(store).await;
    is_addressed_by_its_bytes(store, &dir).await;
    goes_into_a_file(store, &dir).await;
    is_refused_with_another_hash(store, &dir).await;
    goes_in_parts(store, &dir).await;
    takes_any_id(store).await;
    store.check().await.expect("readable");
    store.check_write().await.expect("writable");
}

async fn comes_back_as_it_went(store: &Store, dir: &Dir) {
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

async fn is_replaced_as_a_whole(store: &Store, dir: &Dir) {
    store.put_file("r", &dir.write("f", "something long"), OGG).await.expect("stored");
    store.put_file("r", &dir.write("f", "short"), OGG).await.expect("stored");
    assert_eq!(store.get("r").await.expect("an answer").as_deref(), Some(&b"short"[..]));
}

async fn is_made_once(store: &Store) {
    let put = |text: &'static str| store.put_new("once", Bytes::from(text), PutOptions::of("text/plain"));
    assert!(put("first").await.expect("an answer"));
    assert!(!put("second").await.expect("an answer"));
    assert_eq!(store.get("once").await.expect("an answer").as_deref(), Some(&b"first"[..]));
    store.delete("once").await.expect("removed");
    assert!(put("third").await.expect("an answer"));
    store.delete("once").await.expect("removed");
}

async fn is_read_with_its_version(store: &Store) {
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
async fn is_replaced_against_a_version(store: &Store) {
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
async fn is_replaced_by_one_of_many(store: &Store) {
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

async fn is_addressed_by_its_bytes(store: &Store, dir: &Dir) {
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

async fn goes_into_a_file(store: &Store, dir: &Dir) {
    let (body, file) = (noise(100_000), dir.path().join("got"));
    store.put_bytes("g", Bytes::from(body.clone()), OGG).await.expect("stored");
    let got = store.get_file("g", &file, 100_000).await.expect("an answer").expect("is there");
    assert_eq!((got.size_bytes, got.sha256), (100_000, hex::encode(Sha256::digest(&body))));
    assert!(std::fs::read(&file).expect("a file") == body, "other bytes");
    assert!(store.get_file("g", &file, 99_999).await.is_err());
    assert!(store.get_file("none", &file, 99_999).await.expect("an answer").is_none());
}

async fn is_refused_with_another_hash(store: &Store, dir: &Dir) {
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

async fn goes_in_parts(store: &Store, dir: &Dir) {
    let bytes = noise(LARGE_BYTES);
    let stored = store.put_file("large.mp4", &dir.write("f", &bytes), OGG).await.expect("stored");
    assert_eq!(stored.sha256, hex::encode(Sha256::digest(&bytes)));
    let back = store.get("large.mp4").await.expect("an answer").expect("is there");
    assert!(back == bytes, "other bytes came back");
}

async fn is_too_large_for_memory(store: &Store) {
    let dir = Dir::new();
    let size = usize::try_from(MAX_GET_BYTES).expect("fits") + 1;
    store.put_file("huge", &dir.write("f", vec![0; size]), OGG).await.expect("stored");
    broken_as(Code::StoreLimitBytes, store.get("huge").await);
    assert_eq!(store.head("huge").await.expect("an answer").expect("is there").size_bytes, size as u64);
}

async fn takes_any_id(store: &Store) {
    // Longer ones are cut to a length that S3 and file systems take, but s3s-fs does not.
    for (n, id) in ["whatsapp-9f2c==", "../../etc", "ü \"'<&>+%?#", "a\\b\0\n", &"long".repeat(20)].iter().enumerate()
    {
        let key = store.folder("tenant/1", id).key("00ff", "peaks.json");
        let body = Bytes::from(n.to_string());
        store.put_bytes(&key, body.clone(), OGG).await.unwrap_or_else(|err| panic!("{key}: {err}"));
        assert_eq!(store.get(&key).await.expect("an answer"), Some(body), "{key}");
    }
}

async fn has_no_bucket(store: &Store) {
    let dir = Dir::new();
    let small = dir.write("f", "hello");
    let large = dir.write("g", noise(LARGE_BYTES));
    broken_as(Code::StoreMissing, store.put_file("k", &small, OGG).await);
    broken_as(Code::StoreMissing, store.put_file("k", &large, OGG).await);
    broken_as(Code::StoreMissing, store.get("k").await);
    broken_as(Code::StoreMissing, store.head("k").await);
    broken_as(Code::StoreMissing, store.delete("k").await);
    broken_as(Code::StoreMissing, store.check().await);
    broken_as(Code::StoreMissing, store.check_write().await);
}

/// Bytes that no part of has the same hash as another.
pub(super) fn noise(size: usize) -> Vec<u8> {
    (0..size.div_ceil(8) as u64)
        .flat_map(|n| n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(size)
        .collect()
}

fn walk(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }).collect()
}
