//! A server or a network that fails while small objects are put and got.

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store};
use tokio::time::{Duration, Instant};

use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::s3::S3;

const OPTIONS: PutOptions<'_> = PutOptions::of("audio/ogg");

/// A store behind a gate, with an object "k" that says "before".
pub(super) struct Behind {
    pub(super) store: Store,
    pub(super) gate: Gate,
    pub(super) s3: S3,
    pub(super) dir: Dir,
}

impl Behind {
    pub(super) async fn new(s3: S3, decide: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        let direct = Store::connect(&s3.store_config()).await.expect("a store");
        direct.put_bytes("k", "before".into(), OPTIONS).await.expect("stored");
        let gate = Gate::start(&s3.endpoint(), decide);
        let mut config = s3.access().via(&gate.url()).config();
        config.attempt_timeout_s = 3;
        config.max_attempts = 2;
        let store = Store::connect(&config).await.expect("a store");
        Self { store, gate, s3, dir: Dir::new() }
    }

    async fn put(&self) -> Result<mediamill::store::Stored, mediamill::store::StoreError> {
        self.store.put_file("k", &self.dir.write("f", "after"), OPTIONS).await
    }

    /// What the server has, asked without the gate.
    pub(super) async fn object(&self) -> String {
        let direct = Store::connect(&self.s3.store_config()).await.expect("a store");
        let bytes = direct.get("k").await.expect("an answer").expect("an object");
        String::from_utf8(bytes.into()).expect("text")
    }

    fn count(&self, method: &str) -> usize {
        self.gate.log().iter().filter(|line| line.starts_with(method)).count()
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_at_once() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never, Act::LoseAnswer]
    {
        let world = Behind::new(S3::start(), move |seen| if seen.nth == 0 { act } else { Act::Pass }).await;
        world.put().await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!((world.count("PUT"), world.object().await.as_str()), (2, "after"), "{act:?}");
        let got = world.store.get("k").await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!(got.as_deref(), Some(&b"after"[..]), "{act:?}");
        assert_eq!(world.count("GET"), 2, "{act:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_left_to_the_ladder() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::Never] {
        let world = Behind::new(S3::start(), move |_| act).await;
        let started = Instant::now();
        transient_as(Code::StoreUnavailable, world.put().await);
        transient_as(Code::StoreUnavailable, world.store.get("k").await);
        transient_as(Code::StoreUnavailable, world.store.check().await);
        assert!(started.elapsed() < Duration::from_secs(24), "{act:?}");
        assert_eq!((world.count("PUT"), world.object().await.as_str()), (2, "before"), "{act:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let world = Behind::new(S3::start(), |_| Act::Answer(403, ACCESS_DENIED)).await;
    let said = broken_as(Code::StoreForbidden, world.put().await);
    assert_eq!(said, "write an object: the store refuses access (AccessDenied, 403)");
    broken_as(Code::StoreForbidden, world.store.get("k").await);
    broken_as(Code::StoreForbidden, world.store.head("k").await);
    assert_eq!(world.gate.log().len(), 3, "{:?}", world.gate.log());
}

#[tokio::test]
async fn a_setting_that_the_server_does_not_take_is_named() {
    let s3 = S3::start();
    let mut config = s3.store_config();
    config.storage_class = "NO_SUCH_CLASS".to_owned();
    let store = Store::connect(&config).await.expect("a store");
    let said = broken_as(Code::WorkerBroken, store.put_bytes("k", "x".into(), OPTIONS).await);
    assert!(said.contains("InvalidStorageClass"), "{said}");
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_noticed() {
    for checksums in ["sha256", "when-required"] {
        let s3 = S3::start();
        let gate =
            Gate::start(&s3.endpoint(), |seen| if seen.method == "PUT" { Act::CorruptRequest } else { Act::Pass });
        let mut config = s3.access().via(&gate.url()).config();
        config.checksums = checksums.to_owned();
        let store = Store::connect(&config).await.expect("a store");
        let dir = Dir::new();
        transient_as(Code::StoreChecksum, store.put_file("k", &dir.write("f", "hello"), OPTIONS).await);
    }
    let world = Behind::new(S3::start(), |_| Act::CorruptAnswer).await;
    transient_as(Code::StoreChecksum, world.store.get("k").await);
}

#[tokio::test]
async fn a_server_that_keeps_other_bytes_than_it_says_is_noticed() {
    // It says that all is well, and has no word on what it has.
    let world = Behind::new(S3::start(), |seen| match seen.method {
        "PUT" => Act::Answer(200, ""),
        _ => Act::Pass,
    })
    .await;
    transient_as(Code::StoreChecksum, world.put().await);
}

#[tokio::test]
async fn reading_goes_on_where_a_connection_broke() {
    let world = Behind::new(S3::start(), |seen| match (seen.method, seen.nth) {
        ("GET", 0) => Act::CutAnswer(3),
        _ => Act::Pass,
    })
    .await;
    assert_eq!(world.store.get("k").await.expect("an answer").as_deref(), Some(&b"before"[..]));
    assert_eq!(world.count("GET"), 2);
    let world = Behind::new(S3::start(), |_| Act::CutAnswer(1)).await;
    transient_as(Code::StoreUnavailable, world.store.get("k").await);
}

#[tokio::test]
async fn nobody_at_home_is_passing_trouble() {
    let mut config = S3::start().store_config();
    config.max_attempts = 1;
    let store = Store::connect(&config).await.expect("a store");
    transient_as(Code::StoreUnavailable, store.put_bytes("k", "x".into(), OPTIONS).await);
    transient_as(Code::StoreUnavailable, store.check().await);
}

#[tokio::test]
async fn reading_a_part_goes_on_where_a_connection_broke() {
    let world = Behind::new(S3::start(), |seen| match (seen.method, seen.nth) {
        ("GET", 0) => Act::CutAnswer(2),
        _ => Act::Pass,
    })
    .await;
    assert_eq!(world.store.get_range("k", 1..5).await.expect("an answer").as_deref(), Some(&b"efor"[..]));
    assert_eq!(world.count("GET"), 2);
}

#[tokio::test]
async fn a_list_is_whole_or_an_error() {
    for act in [Act::Answer(503, SLOW_DOWN), Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::CutAnswer(100)] {
        let world = Behind::new(S3::start(), move |_| act).await;
        transient_as(Code::StoreUnavailable, world.store.list("", None, 9).await);
        let world = Behind::new(S3::start(), move |seen| if seen.nth == 0 { act } else { Act::Pass }).await;
        let page = world.store.list("", None, 9).await.unwrap_or_else(|err| panic!("{act:?}: {err}"));
        assert_eq!(page.objects.len(), 1, "{act:?}");
    }
}
