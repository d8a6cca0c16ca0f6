//! What only Google Cloud Storage has, and a server or a network that fails on the way to it. Resumable uploads cannot be listed,
//! neither on the service nor on an emulator: that none is left behind is seen by the request that cancels it.

use std::time::Duration;

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::contract::noise;
use super::terms::classes;
use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::gcs::Gcs;

const OPTIONS: PutOptions<'_> = PutOptions::of("audio/ogg");
/// Two chunks and one byte.
const LARGE_BYTES: usize = (10 << 20) + 1;

/// A store behind a gate, with an object "k" that says "before".
struct Behind {
    store: Store,
    direct: Store,
    gate: Gate,
    dir: Dir,
    _gcs: Gcs,
}

impl Behind {
    async fn new(gcs: Gcs, decide: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        let direct = Store::connect(&gcs.store_config()).await.expect("a store");
        direct.put_bytes("k", "before".into(), OPTIONS).await.expect("stored");
        let gate = Gate::start(&gcs.endpoint(), decide);
        let mut config = gcs.store_config_at(&gate.url());
        config.attempt_timeout_s = 2;
        config.max_attempts = 2;
        let store = Store::connect(&config).await.expect("a store");
        Self { store, direct, gate, dir: Dir::new(), _gcs: gcs }
    }

    async fn put(&self) -> Result<mediamill::store::Stored, mediamill::store::StoreError> {
        self.store.put_file("k", &self.dir.write("f", "after"), OPTIONS).await
    }

    async fn object(&self) -> String {
        let bytes = self.direct.get("k").await.expect("an answer").expect("an object");
        String::from_utf8(bytes.into()).expect("text")
    }

    fn count(&self, begins: &str) -> usize {
        self.gate.log().iter().filter(|line| line.starts_with(begins)).count()
    }

    /// How many uploads were cancelled.
    fn cancelled(&self) -> usize {
        self.gate.log().iter().filter(|line| line.starts_with("DELETE ") && line.contains("upload_id=")).count()
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_at_once() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never, Act::LoseAnswer]
    {
        let Some(gcs) = Gcs::fake_gcs_server().await else { return };
        let world = Behind::new(gcs, move |seen| if seen.nth == 0 { act } else { Act::Pass }).await;
        world.put().await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!((world.count("POST"), world.object().await.as_str()), (2, "after"), "{act:?}");
        let got = world.store.get("k").await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!(got.as_deref(), Some(&b"after"[..]), "{act:?}");
        assert_eq!(world.count("GET"), 2, "{act:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_left_to_the_ladder() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never] {
        let Some(gcs) = Gcs::fake_gcs_server().await else { return };
        let world = Behind::new(gcs, move |_| act).await;
        let started = Instant::now();
        transient_as(Code::StoreUnavailable, world.put().await);
        transient_as(Code::StoreUnavailable, world.store.get("k").await);
        transient_as(Code::StoreUnavailable, world.store.list("", None, 9).await);
        assert!(started.elapsed() < Duration::from_secs(16), "{act:?}");
        assert_eq!((world.count("POST"), world.object().await.as_str()), (2, "before"), "{act:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_nothing_is_missing_by_it() {
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let world = Behind::new(gcs, |_| Act::Answer(403, ACCESS_DENIED)).await;
    let said = broken_as(Code::StoreForbidden, world.put().await);
    assert_eq!(said, "write an object: the store refuses access (403)");
    broken_as(Code::StoreForbidden, world.store.get("k").await);
    broken_as(Code::StoreForbidden, world.store.head("k").await);
    assert_eq!(world.gate.log().len(), 3, "{:?}", world.gate.log());
}

/// The second emulator refuses them by their MD5; the first takes them, and is found out by its answer. The request of a chunk is
/// nothing but bytes.
#[tokio::test]
async fn bytes_that_change_on_their_way_are_noticed() {
    let Some(first) = Gcs::fake_gcs_server().await else { return };
    let Some(second) = Gcs::gcp_storage_emulator().await else { return };
    for gcs in [first, second] {
        let decide = |seen: Seen<'_>| match seen.method {
            "PUT" => Act::CorruptRequest,
            "GET" => Act::CorruptAnswer,
            _ => Act::Pass,
        };
        let world = Behind::new(gcs, decide).await;
        let large = world.dir.write("g", noise(LARGE_BYTES));
        transient_as(Code::StoreChecksum, world.store.put_file("g", &large, OPTIONS).await);
        transient_as(Code::StoreChecksum, world.store.get("k").await);
    }
}

#[tokio::test]
async fn a_store_with_other_bytes_than_were_sent_is_noticed() {
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let other = r#"{"kind":"storage#object","size":"5","md5Hash":"XrY7u+Ae7tCTyyK7j1rNww=="}"#;
    let world = Behind::new(gcs, move |_| Act::Answer(200, other)).await;
    transient_as(Code::StoreChecksum, world.put().await);
}

#[tokio::test]
async fn reading_goes_on_where_a_connection_broke() {
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let world = Behind::new(gcs, |seen| match (seen.method, seen.nth) {
        ("GET", 0) => Act::CutAnswer(1 << 20),
        _ => Act::Pass,
    })
    .await;
    let bytes = noise(3 << 20);
    world.direct.put_bytes("long", bytes.clone().into(), OPTIONS).await.expect("stored");
    assert!(world.store.get("long").await.expect("an answer").expect("is there") == bytes, "other bytes");
    assert_eq!(world.count("GET"), 2);
    assert!(world.gate.log()[1].contains("ifGenerationMatch="), "of the same generation: {:?}", world.gate.log());
    assert_eq!(world.store.get_range("k", 1..5).await.expect("an answer").as_deref(), Some(&b"efor"[..]));
}

/// A chunk that is lost, refused, or arrives without an answer is sent again from where the service says that it is. The first emulator
/// takes the question for the end of the upload.
#[tokio::test]
async fn a_large_file_goes_on_where_a_chunk_failed() {
    let bytes = noise(LARGE_BYTES);
    for (chunk, act) in [(1, Act::Close), (1, Act::Answer(503, SLOW_DOWN)), (1, Act::LoseAnswer), (2, Act::LoseAnswer)]
    {
        let Some(gcs) = Gcs::gcp_storage_emulator().await else { return };
        let decide = move |seen: Seen<'_>| match (seen.method, seen.nth) {
            ("PUT", nth) if nth == chunk => act,
            _ => Act::Pass,
        };
        let world = Behind::new(gcs, decide).await;
        let stored = world.store.put_file("large", &world.dir.write("f", &bytes), OPTIONS).await;
        let stored = stored.unwrap_or_else(|err| panic!("{chunk} {act:?}: {err}: {:?}", world.gate.log()));
        assert_eq!(stored.sha256, hex::encode(Sha256::digest(&bytes)));
        assert!(world.direct.get("large").await.expect("an answer").expect("is there") == bytes, "{chunk} {act:?}");
        assert_eq!(world.cancelled(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_fails_or_is_given_up_is_cancelled() {
    let bytes = noise(LARGE_BYTES);
    for act in [Act::Answer(403, ACCESS_DENIED), Act::Answer(503, SLOW_DOWN)] {
        let Some(gcs) = Gcs::fake_gcs_server().await else { return };
        let world =
            Behind::new(gcs, move |seen| if seen.method == "PUT" && seen.nth > 0 { act } else { Act::Pass }).await;
        assert!(world.store.put_file("large", &world.dir.write("f", &bytes), OPTIONS).await.is_err());
        assert_eq!(world.direct.head("large").await.expect("an answer"), None);
        assert_eq!(world.cancelled(), 1, "{act:?}: {:?}", world.gate.log());
    }
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let (reached, mut at_it) = tokio::sync::mpsc::unbounded_channel();
    let decide = move |seen: Seen<'_>| match seen.method {
        "PUT" => {
            reached.send(()).ok();
            Act::Never
        }
        _ => Act::Pass,
    };
    let world = Behind::new(gcs, decide).await;
    let file = world.dir.write("f", &bytes);
    tokio::select! {
        result = world.store.put_file("large", &file, OPTIONS) => panic!("it has come to an end: {result:?}"),
        reached = at_it.recv() => reached.expect("the gate is there"),
    }
    world.store.wait_for_aborts().await;
    assert_eq!((world.cancelled(), world.count("PUT")), (1, 1), "{:?}", world.gate.log());
}

#[tokio::test]
async fn large_originals_and_playbacks_have_a_class_and_all_have_their_time() {
    // The first emulator forgets the class of a resumable upload; the second one keeps it.
    for (gcs, most) in [(Gcs::fake_gcs_server().await, 1 << 20), (Gcs::gcp_storage_emulator().await, usize::MAX)] {
        let Some(gcs) = gcs else { return };
        let dir = Dir::new();
        let mut config = gcs.store_config();
        config.class = "rare".to_owned();
        let store = Store::connect(&config).await.expect("a store");
        let expires_at = Some(std::time::SystemTime::now() + Duration::from_secs(100 * 24 * 3600));
        for (name, size, class) in classes("COLDLINE", "STANDARD").into_iter().filter(|(_, size, _)| *size <= most) {
            let options = PutOptions { expires_at, ..PutOptions::of("video/mp4") };
            let file = dir.write("f", noise(size));
            let stored = store.put_addressed(&store.folder("acme", "1"), name, &file, options).await.expect("stored");
            let resource = gcs.resource(&stored.key).await;
            assert_eq!(resource["storageClass"].as_str().unwrap_or("STANDARD"), class, "{name}: {resource}");
            assert!(resource["customTime"].as_str().is_some_and(|at| at.starts_with("20")), "{name}: {resource}");
        }
    }
}

#[tokio::test]
async fn every_object_has_its_terms() {
    let Some(gcs) = Gcs::gcp_storage_emulator().await else { return };
    let dir = Dir::new();
    let mut config = gcs.store_config();
    config.storage_class = "NEARLINE".to_owned();
    config.metadata = [("made-by".to_owned(), "mediamill".to_owned())].into();
    let store = Store::connect(&config).await.expect("a store");
    assert_eq!(store.url_for_display(), "gs://media/assets");
    let saved = PutOptions { content_disposition: Some("attachment"), ..PutOptions::of("video/mp4") };
    for (name, size) in [("small.mp4", 5), ("large.mp4", 6 << 20)] {
        let key = store.folder("acme", "1").key("00ff", name);
        let stored = store.put_file(&key, &dir.write("f", noise(size)), saved).await.expect("stored");
        let resource = gcs.resource(&key).await;
        for (field, value) in [
            ("contentType", "video/mp4"),
            ("contentDisposition", "attachment"),
            ("cacheControl", "private, max-age=300"),
            ("storageClass", "NEARLINE"),
        ] {
            assert_eq!(resource[field], value, "{name}: {resource}");
        }
        assert_eq!(resource["metadata"]["made-by"], "mediamill");
        assert_eq!(resource["metadata"]["sha256"], stored.sha256.as_str());
    }
    assert!(store.put_new("manifest", "{}".into(), PutOptions::of("application/json")).await.expect("stored"));
    assert_eq!(gcs.resource("manifest").await["cacheControl"], "private, no-cache");
}
