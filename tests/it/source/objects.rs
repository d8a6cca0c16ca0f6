//! Objects of the tenant's own buckets as origins.

use mediamill::config::{Bucket, Config, load};
use mediamill::error::Code;
use mediamill::events::Origin;
use mediamill::source::{Fetched, SourceError, Sources};
use mediamill::store::{PutOptions, Store};

use crate::support::cmd::Dir;
use crate::support::faults::{broken_as, rejected_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, SLOW_DOWN};
#[cfg(feature = "gcp")]
use crate::support::gcs::Gcs;
use crate::support::s3::S3;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Configured buckets `acme-in` and `beta-in`, at this server and below these addresses, and a store below `assets`.
async fn sources(server: &mediamill::config::Store, acme: &str, beta: &str) -> Sources {
    let flags = [("buckets.acme-in.tenant", "acme"), ("buckets.acme-in.url", acme)];
    let more = [("buckets.beta-in.tenant", "beta"), ("buckets.beta-in.url", beta)];
    let flags: Vec<_> =
        flags.iter().chain(&more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut config: Config = load(None, [], &flags).unwrap_or_else(|err| panic!("{err}"));
    config.store = server.clone();
    config.source.read_timeout_s = 2;
    for bucket in config.buckets.values_mut() {
        *bucket = Bucket {
            endpoint: server.endpoint.clone(),
            path_style: server.path_style,
            region: server.region.clone(),
            access_key_id: server.access_key_id.clone(),
            secret_access_key: server.secret_access_key.clone(),
            gcs_credentials: server.gcs_credentials.clone(),
            ..bucket.clone()
        };
    }
    let store = Store::connect(server).await.expect("a store");
    Sources::new(&config, &store).expect("sources")
}

async fn fetch(sources: &Sources, tenant: &str, account: &str, url: &str) -> Result<Fetched, SourceError> {
    let dir = Dir::new();
    let origin = Origin::Object { account: account.to_owned(), url: url.to_owned() };
    sources.fetch(tenant, &origin, None, 100, &dir.path().join("dest")).await
}

async fn put(server: &mediamill::config::Store, keys: &[&str]) {
    let store = Store::connect(server).await.expect("a store");
    for key in keys {
        store.put_bytes(key, "hello".into(), PutOptions::default()).await.expect("stored");
    }
}

#[tokio::test]
async fn an_object_of_the_tenant_arrives_and_no_other() {
    let s3 = S3::start();
    let server = s3.store_config();
    put(&server, &["in/acme/a b.ogg", "in/beta/b.ogg", "in/acme-2/c.ogg", "assets/beta/m/x/original.ogg"]).await;
    let sources = sources(&server, "s3://media/in/acme", "s3://media/in/beta").await;
    let got = fetch(&sources, "acme", "acme-in", "s3://media/in/acme/a%20b.ogg").await.expect("an object");
    assert_eq!((got.size_bytes, got.sha256.as_str()), (5, HELLO));
    fetch(&sources, "beta", "beta-in", "s3://media/in/beta/b.ogg").await.expect("an object");
    for (tenant, account, url) in [
        // Another tenant's account, with an address of either; and one that nobody has.
        ("acme", "beta-in", "s3://media/in/beta/b.ogg"),
        ("beta", "acme-in", "s3://media/in/beta/b.ogg"),
        ("acme", "none", "s3://media/in/acme/a%20b.ogg"),
        // Out of the own address, however it is written.
        ("acme", "acme-in", "s3://media/in/beta/b.ogg"),
        ("acme", "acme-in", "s3://media/in/acme-2/c.ogg"),
        ("acme", "acme-in", "s3://media/in/acme/../beta/b.ogg"),
        ("acme", "acme-in", "s3://media/in/acme/%2e%2e/beta/b.ogg"),
        ("acme", "acme-in", "s3://media//in/acme"),
        ("acme", "acme-in", "s3://media/in/acme"),
        ("acme", "acme-in", "s3://media/"),
        ("acme", "acme-in", "s3://other/in/acme/a.ogg"),
    ] {
        let text = rejected_as(Code::SourceDenied, fetch(&sources, tenant, account, url).await);
        assert!(!text.contains(url), "{url}: {text}");
    }
    for url in ["s3://media/in/acme/..%2Fbeta/b.ogg", "s3://id:secret@media/in/acme/a", "no URL", "ftp://media/x"] {
        let text = rejected_as(Code::SourceInvalid, fetch(&sources, "acme", "acme-in", url).await);
        assert!(!text.contains("secret"), "{text}");
    }
    rejected_as(Code::SourceDenied, fetch(&sources, "acme", "acme-in", "file:///etc/passwd").await);
    rejected_as(Code::SourceNotFound, fetch(&sources, "acme", "acme-in", "s3://media/in/acme/none").await);
}

#[tokio::test]
async fn nothing_in_the_store_is_an_origin() {
    let s3 = S3::start();
    let server = s3.store_config();
    put(&server, &["assets/beta/m/x/original.ogg", "x.ogg"]).await;
    // The whole bucket, of which the store is a part.
    let sources = sources(&server, "s3://media", "s3://elsewhere").await;
    fetch(&sources, "acme", "acme-in", "s3://media/x.ogg").await.expect("an object beside the store");
    for url in [
        "s3://media/assets/beta/m/x/original.ogg",
        "s3://media/assets//beta/m/x/original.ogg",
        "s3://media//assets/beta/m/x/original.ogg",
        "s3://media/assets/.inbox/1/x",
        "s3://media/assets/acme/m/x/original.ogg",
    ] {
        let text = rejected_as(Code::SourceDenied, fetch(&sources, "acme", "acme-in", url).await);
        assert!(text.contains("in the store"), "{url}: {text}");
    }
}

#[tokio::test]
async fn what_a_bucket_answers_means_what_it_means_of_other_origins() {
    for (act, code) in [
        (Act::Answer(503, SLOW_DOWN), Code::SourceUnavailable),
        (Act::Close, Code::SourceUnavailable),
        (Act::CutAnswer(2), Code::SourceUnavailable),
        (Act::Never, Code::SourceTimeout),
    ] {
        let s3 = S3::start();
        put(&s3.store_config(), &["in/acme/a"]).await;
        let gate = Gate::start(&s3.endpoint(), move |_| act);
        let mut server = s3.access().via(&gate.url()).config();
        (server.attempt_timeout_s, server.max_attempts) = (5, 1);
        let sources = sources(&server, "s3://media/in/acme", "s3://media/in/beta").await;
        transient_as(code, fetch(&sources, "acme", "acme-in", "s3://media/in/acme/a").await);
    }
    let s3 = S3::start();
    let gate = Gate::start(&s3.endpoint(), |_| Act::Answer(403, ACCESS_DENIED));
    let sources = sources(&s3.access().via(&gate.url()).config(), "s3://media/in/acme", "s3://media/in/beta").await;
    broken_as(Code::SourceForbidden, fetch(&sources, "acme", "acme-in", "s3://media/in/acme/a").await);
}

#[cfg(feature = "gcp")]
#[tokio::test]
async fn objects_of_google_arrive_too() {
    for gcs in [Gcs::fake_gcs_server().await, Gcs::gcp_storage_emulator().await] {
        let Some(gcs) = gcs else { return };
        let server = gcs.store_config();
        put(&server, &["in/acme/a", "in/beta/b"]).await;
        let sources = sources(&server, "gs://media/in/acme", "gs://media/in/beta").await;
        let got = fetch(&sources, "acme", "acme-in", "gs://media/in/acme/a").await.expect("an object");
        assert_eq!(got.sha256, HELLO);
        rejected_as(Code::SourceDenied, fetch(&sources, "acme", "acme-in", "gs://media/in/beta/b").await);
        rejected_as(Code::SourceDenied, fetch(&sources, "acme", "acme-in", "s3://media/in/acme/a").await);
        rejected_as(Code::SourceNotFound, fetch(&sources, "acme", "acme-in", "gs://media/in/acme/none").await);
    }
}
