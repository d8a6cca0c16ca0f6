//! Objects as origins.

use mediamill::config::{Config, load};
use mediamill::error::Code;
use mediamill::events::{Declared, Origin};
use mediamill::source::{Fetched, SourceError, Sources};
use mediamill::store::{PutOptions, Store};

use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, rejected_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::s3::{Access, S3};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Sources for the server, and an object `in/hello.ogg` that says "hello".
struct World {
    s3: S3,
    sources: Sources,
    dir: Dir,
}

impl World {
    async fn new() -> Self {
        let s3 = S3::start();
        let store = Store::connect(&s3.store_config()).await.expect("a store");
        store.put_bytes("in/hello.ogg", "hello".into(), PutOptions::default()).await.expect("stored");
        let sources = sources(s3.access(), &store, &[]);
        Self { s3, sources, dir: Dir::new() }
    }

    async fn behind(decide: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> (Self, Gate) {
        let mut world = Self::new().await;
        let gate = Gate::start(&world.s3.endpoint(), decide);
        let access = world.s3.access().via(&gate.url());
        let mut config = access.config();
        config.attempt_timeout_s = 1;
        config.max_attempts = 2;
        let store = Store::connect(&config).await.expect("a store");
        world.sources = sources(&access, &store, &[]);
        (world, gate)
    }

    async fn fetch(&self, bucket: &str, key: &str) -> Result<Fetched, SourceError> {
        let origin = Origin::S3 { bucket: bucket.to_owned(), key: key.to_owned() };
        self.sources.fetch("acme", &origin, None, 100, &self.dir.path().join("dest")).await
    }
}

fn sources(access: &Access, store: &Store, buckets: &[&str]) -> Sources {
    let mut config: Config = load(None, [], &[]).expect("the defaults");
    config.store = access.config();
    config.source.read_timeout_s = 1;
    config.source.s3_buckets = buckets.iter().map(|&bucket| bucket.to_owned()).collect();
    Sources::new(&config, store).expect("sources")
}

#[tokio::test]
async fn an_object_arrives_with_its_hash() {
    let world = World::new().await;
    let fetched = world.fetch("media", "in/hello.ogg").await.expect("fetched");
    assert_eq!(fetched, Fetched { size_bytes: 5, sha256: HELLO.to_owned() });
    assert_eq!(std::fs::read(world.dir.path().join("dest")).expect("dest"), b"hello");
    rejected_as(Code::SourceNotFound, world.fetch("media", "in/none.ogg").await);
    let origin = Origin::S3 { bucket: "media".to_owned(), key: "in/hello.ogg".to_owned() };
    let dest = world.dir.path().join("dest");
    rejected_as(Code::LimitBytes, world.sources.fetch("acme", &origin, None, 4, &dest).await);
    let declared = Declared { sha256: Some(HELLO.replace('2', "3")), ..Declared::default() };
    rejected_as(Code::SourceHashMismatch, world.sources.fetch("acme", &origin, Some(&declared), 9, &dest).await);
    let declared = Declared { size_bytes: Some(6), ..Declared::default() };
    rejected_as(Code::SourceSizeMismatch, world.sources.fetch("acme", &origin, Some(&declared), 9, &dest).await);
}

#[tokio::test]
async fn only_the_allowed_buckets_are_read() {
    let mut world = World::new().await;
    for (bucket, key) in [("other", "k"), ("", "k"), ("media", "../other/k"), ("media", "a/./k")] {
        rejected_as(Code::SourceDenied, world.fetch(bucket, key).await);
    }
    for key in ["", &"k".repeat(1025)] {
        rejected_as(Code::SourceInvalid, world.fetch("media", key).await);
    }
    // With a directory for a store no bucket is its own.
    let local = Store::local(world.dir.path());
    world.sources = sources(world.s3.access(), &local, &[]);
    rejected_as(Code::SourceDenied, world.fetch("media", "in/hello.ogg").await);
    for buckets in [&["other", "media"][..], &["*"]] {
        world.sources = sources(world.s3.access(), &local, buckets);
        world.fetch("media", "in/hello.ogg").await.expect("allowed");
    }
    rejected_as(Code::SourceDenied, world.fetch("arn:aws:s3:eu-west-1:1:accesspoint/x", "k").await);
}

#[tokio::test]
async fn an_object_goes_on_where_a_connection_broke() {
    for act in
        [Act::CutAnswer(2), Act::Answer(500, INTERNAL_ERROR), Act::Answer(503, SLOW_DOWN), Act::Close, Act::Never]
    {
        let (world, _gate) = World::behind(move |seen| if seen.nth == 0 { act } else { Act::Pass }).await;
        let fetched = world.fetch("media", "in/hello.ogg").await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!(fetched.sha256, HELLO, "{act:?}");
    }
}

#[tokio::test]
async fn a_server_that_goes_on_failing_has_another_try_later() {
    for act in [Act::CutAnswer(2), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never, Act::CorruptAnswer] {
        let (world, _gate) = World::behind(move |_| act).await;
        transient_as(Code::SourceUnavailable, world.fetch("media", "in/hello.ogg").await);
    }
}

#[tokio::test]
async fn what_belongs_to_tenants_is_not_read_for_others() {
    let world = World::new().await;
    let store = Store::connect(&world.s3.store_config()).await.expect("a store");
    let object = store.folder("acme", "1").key("00ff", "audio.mp3");
    let waiting = store.inbox_key("2", "hello.ogg");
    for key in [&object, &waiting] {
        store.put_bytes(key, "hello".into(), PutOptions::default()).await.expect("stored");
    }
    assert_eq!((object.as_str(), waiting.as_str()), ("assets/acme/1/00ff/audio.mp3", "assets/.inbox/2/hello.ogg"));
    for key in
        [object.as_str(), "assets", "assets/", "assets/acme/1/none", "/assets/acme/1/audio.mp3", "assets//acme/x"]
    {
        let said = rejected_as(Code::SourceDenied, world.fetch("media", key).await);
        assert!(said.contains(".inbox/") && !said.contains("acme"), "{said}");
    }
    world.fetch("media", &waiting).await.expect("fetched");
    rejected_as(Code::SourceNotFound, world.fetch("media", "assets-of-others/x").await);

    // Where the bucket is allowed by name or with all others, and where the store has all of it.
    let mut access = world.s3.store_config();
    for (url, buckets) in [("s3://media/assets", "*"), ("s3://media/assets", "media"), ("s3://media", "media")] {
        access.url = url.to_owned();
        let store = Store::connect(&access).await.expect("a store");
        let sources = sources(world.s3.access(), &store, &[buckets]);
        let origin = Origin::S3 { bucket: "media".to_owned(), key: object.clone() };
        let dest = world.dir.path().join("dest");
        rejected_as(Code::SourceDenied, sources.fetch("acme", &origin, None, 100, &dest).await);
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_has_a_code_by_who_chose_it() {
    let no_bucket = "<Error><Code>NoSuchBucket</Code></Error>";
    let (mut world, gate) = World::behind(move |_| Act::Answer(404, no_bucket)).await;
    let access = world.s3.access().via(&gate.url());
    let store = Store::connect(&access.config()).await.expect("a store");
    world.sources = sources(&access, &store, &["*"]);
    rejected_as(Code::SourceNoBucket, world.fetch("typo", "k").await);
    world.sources = sources(&access, &store, &["listed"]);
    broken_as(Code::SourceNoBucket, world.fetch("listed", "k").await);
}

#[tokio::test]
async fn an_operator_hears_of_refusals_and_missing_buckets() {
    let (world, _gate) = World::behind(|_| Act::Answer(403, ACCESS_DENIED)).await;
    broken_as(Code::SourceForbidden, world.fetch("media", "in/hello.ogg").await);
    let no_bucket = "<Error><Code>NoSuchBucket</Code></Error>";
    let (world, _gate) = World::behind(move |_| Act::Answer(404, no_bucket)).await;
    broken_as(Code::StoreMissing, world.fetch("media", "in/hello.ogg").await);
}
