//! What only Azure Blob Storage has. There is no emulator of it to be had: answers of the real service are replayed (`replay`), and what
//! needs a memory runs on a server of ours with which Microsoft's own client agrees.

mod replay;

use mediamill::error::{Code, Fault};
use mediamill::store::{PutOptions, Store};
use sha2::{Digest, Sha256};

use super::contract::{self, noise};
use crate::support::azure::{Azure, store_config_at};
use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};

const OPTIONS: PutOptions<'_> = PutOptions::of("audio/ogg");
/// Two blocks and one byte.
const LARGE_BYTES: usize = (10 << 20) + 1;

/// A store on a server with which the vendor's client agrees.
async fn judged(keeps_versions: bool) -> Option<Azure> {
    let azure = Azure::start(keeps_versions).await?;
    // Once in this process is enough: it is the same server.
    static JUDGED: [std::sync::OnceLock<()>; 2] = [const { std::sync::OnceLock::new() }; 2];
    JUDGED[usize::from(keeps_versions)].get_or_init(|| assert_eq!(azure.judged(keeps_versions), "agreed"));
    azure.has_container().await;
    Some(azure)
}

#[tokio::test]
async fn azure_keeps_the_contract() {
    for keeps_versions in [false, true] {
        let Some(azure) = judged(keeps_versions).await else { return };
        let mut config = azure.store_config();
        contract::run(&Store::connect(&config).await.expect("a store"), &contract::AZURE).await;
        config.url = "az://nobodys-container".to_owned();
        contract::has_no_bucket(&Store::connect(&config).await.expect("a store")).await;
    }
}

#[tokio::test]
async fn every_version_is_removed() {
    let Some(azure) = judged(true).await else { return };
    let store = Store::connect(&azure.store_config()).await.expect("a store");
    for text in ["one", "two", "three"] {
        store.put_bytes("v/k", text.into(), OPTIONS).await.expect("stored");
        store.put_bytes("v/k0", text.into(), OPTIONS).await.expect("stored");
    }
    store.delete("v/k").await.expect("removed");
    assert_eq!(store.delete_all_versions("v/k").await.expect("removed"), 3);
    assert_eq!(store.delete_all_versions("v/k").await.expect("fine where there is none"), 0);
    assert_eq!(store.get("v/k0").await.expect("an answer").expect("another object stays"), "three");
}

#[tokio::test]
async fn another_key_is_refused() {
    let Some(azure) = judged(false).await else { return };
    let mut config = azure.store_config();
    config.azure_key = String::from("AAAA").into();
    let store = Store::connect(&config).await.expect("a store");
    let said = broken_as(Code::StoreForbidden, store.put_bytes("k", "x".into(), OPTIONS).await);
    assert_eq!(said, "write an object: the store refuses access (AuthenticationFailed, 403)");
    broken_as(Code::StoreForbidden, store.get("k").await);
    broken_as(Code::StoreForbidden, store.list("", None, 1).await);
    config.azure_key = String::from("not base64!").into();
    let store = Store::connect(&config).await.expect("a store");
    let said = broken_as(Code::WorkerBroken, store.get("k").await);
    assert!(!said.contains("not base64!"), "{said}");
}

#[tokio::test]
async fn an_archived_object_is_asked_for_and_waited_for() {
    let Some(azure) = judged(false).await else { return };
    let mut config = azure.store_config();
    config.storage_class = "Archive".to_owned();
    let store = Store::connect(&config).await.expect("a store");
    store.put_bytes("cold", "kept".into(), OPTIONS).await.expect("stored");
    let fault = Fault::from(store.get("cold").await.expect_err("it is archived"));
    assert!(matches!(fault, Fault::Paused { code: Code::StoreArchived, .. }), "{fault}");
    assert_eq!(store.get("cold").await.expect("it was brought back").expect("is there"), "kept");
}

/// A store behind a gate, with an object "k" that says "before".
struct Behind {
    store: Store,
    direct: Store,
    gate: Gate,
    dir: Dir,
    _azure: Azure,
}

impl Behind {
    async fn new(decide: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Option<Self> {
        let azure = judged(false).await?;
        let direct = Store::connect(&azure.store_config()).await.expect("a store");
        direct.put_bytes("k", "before".into(), OPTIONS).await.expect("stored");
        let gate = Gate::start(&azure.url(), decide);
        let mut config = store_config_at(&gate.url());
        config.attempt_timeout_s = 2;
        config.max_attempts = 2;
        let store = Store::connect(&config).await.expect("a store");
        Some(Self { store, direct, gate, dir: Dir::new(), _azure: azure })
    }

    async fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.direct.get(key).await.expect("an answer").map(Vec::from)
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_left_to_the_ladder() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never, Act::LoseAnswer]
    {
        let Some(world) = Behind::new(move |seen| if seen.nth == 0 { act } else { Act::Pass }).await else { return };
        world.store.put_bytes("k", "after".into(), OPTIONS).await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!(world.object("k").await.as_deref(), Some(&b"after"[..]), "{act:?}");
        assert_eq!(world.store.get("k").await.expect("an answer").expect("is there"), "after", "{act:?}");
        assert_eq!(world.gate.log().len(), 4, "{act:?}: {:?}", world.gate.log());
        if matches!(act, Act::LoseAnswer) {
            continue;
        }
        let Some(world) = Behind::new(move |_| act).await else { return };
        transient_as(Code::StoreUnavailable, world.store.put_bytes("k", "after".into(), OPTIONS).await);
        transient_as(Code::StoreUnavailable, world.store.get("k").await);
        transient_as(Code::StoreUnavailable, world.store.list("", None, 9).await);
        assert_eq!(world.object("k").await.as_deref(), Some(&b"before"[..]), "{act:?}");
    }
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_noticed() {
    let decide = |seen: Seen<'_>| if seen.method == "PUT" { Act::CorruptRequest } else { Act::CorruptAnswer };
    let Some(world) = Behind::new(decide).await else { return };
    transient_as(Code::StoreChecksum, world.store.put_bytes("k", "after".into(), OPTIONS).await);
    transient_as(Code::StoreChecksum, world.store.get("k").await);
    let large = world.dir.write("f", noise(LARGE_BYTES));
    transient_as(Code::StoreChecksum, world.store.put_file("large", &large, OPTIONS).await);
    assert_eq!(world.object("k").await.as_deref(), Some(&b"before"[..]));
}

#[tokio::test]
async fn reading_goes_on_where_a_connection_broke() {
    let decide =
        |seen: Seen<'_>| if (seen.method, seen.nth) == ("GET", 0) { Act::CutAnswer(1 << 20) } else { Act::Pass };
    let Some(world) = Behind::new(decide).await else { return };
    let bytes = noise(3 << 20);
    world.direct.put_bytes("long", bytes.clone().into(), OPTIONS).await.expect("stored");
    assert!(world.store.get("long").await.expect("an answer").expect("is there") == bytes, "other bytes");
    assert_eq!(world.gate.log().len(), 2);
}

#[tokio::test]
async fn a_large_file_is_whole_or_not_there_and_leaves_no_blocks() {
    let bytes = noise(LARGE_BYTES);
    let is_list = |seen: &Seen<'_>| seen.path.contains("comp=blocklist");
    for act in [Act::Answer(403, ACCESS_DENIED), Act::Answer(503, SLOW_DOWN), Act::LoseAnswer] {
        for at_the_end in [false, true] {
            let decide = move |seen: Seen<'_>| {
                // The third block by its id; the list comes after three blocks, and is tried twice where that may help.
                let tries = if matches!(act, Act::Answer(403, _)) { 1 } else { 2 };
                let is_third = seen.path.contains("MDAwMDAy");
                let hit = if at_the_end { is_list(&seen) && seen.nth < 3 + tries } else { is_third };
                if hit { act } else { Act::Pass }
            };
            let Some(world) = Behind::new(decide).await else { return };
            let file = world.dir.write("f", &bytes);
            let put = world.store.put_file("large", &file, OPTIONS).await;
            world.store.wait_for_aborts().await;
            let log = world.gate.log();
            match world.object("large").await {
                Some(there) => assert!(there == bytes, "{act:?} {at_the_end}: other bytes: {log:?}"),
                None => assert!(put.is_err(), "{act:?} {at_the_end}: it was said to be there: {log:?}"),
            }
            if put.is_err() && !matches!(act, Act::LoseAnswer) {
                assert!(log.iter().any(|line| line.starts_with("DELETE ")), "{act:?} {at_the_end}: {log:?}");
            }
        }
    }
}

#[tokio::test]
async fn blocks_of_an_upload_that_was_given_up_are_discarded() {
    let bytes = noise(LARGE_BYTES);
    let (reached, mut at_it) = tokio::sync::mpsc::unbounded_channel();
    let decide = move |seen: Seen<'_>| {
        if seen.path.contains("comp=block&") && seen.nth == 2 {
            reached.send(()).ok();
            return Act::Never;
        }
        Act::Pass
    };
    let Some(world) = Behind::new(decide).await else { return };
    let file = world.dir.write("f", &bytes);
    tokio::select! {
        result = world.store.put_file("large", &file, OPTIONS) => panic!("it has come to an end: {result:?}"),
        reached = at_it.recv() => reached.expect("the gate is there"),
    }
    world.store.wait_for_aborts().await;
    assert_eq!(world.object("large").await, None);
    assert!(world.gate.log().iter().any(|line| line.starts_with("DELETE ")), "{:?}", world.gate.log());
    let stored = world.store.put_file("large", &file, OPTIONS).await.expect("stored");
    assert_eq!(stored.sha256, hex::encode(Sha256::digest(&bytes)));
}
