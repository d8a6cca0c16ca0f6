//! What the configuration says of every object, as a server sees it.

use mediamill::config::load;
use mediamill::store::{PutOptions, Store};
use reqwest::Method;

use super::contract::noise;
use crate::support::cmd::Dir;
use crate::support::s3::S3;

#[tokio::test]
async fn every_object_has_its_terms() {
    let Some(s3) = S3::moto().await else { return };
    let dir = Dir::new();
    let mut config = s3.store_config();
    config.sse = "aws:kms".to_owned();
    config.sse_kms_key_id = "arn:aws:kms:eu-west-1:123456789012:key/1234".to_owned();
    config.storage_class = "STANDARD_IA".to_owned();
    config.tags = [("team".to_owned(), "crm + sales".to_owned()), ("kind".to_owned(), "media".to_owned())].into();
    config.metadata = [("made-by".to_owned(), "mediamill".to_owned())].into();
    let store = Store::connect(&config).await.expect("a store");
    assert_eq!(store.url_for_display(), "s3://media/assets");
    let options = PutOptions::of("video/mp4");
    for (name, size) in [("small.mp4", 5), ("large.mp4", 6 << 20)] {
        let key = store.folder("acme", "1").key("00ff", name);
        assert_eq!(key, format!("assets/acme/1/00ff/{name}"));
        store.put_file(&key, &dir.write("f", noise(size)), options).await.expect("stored");
        let url = format!("{}/{}/{key}", s3.endpoint(), s3.bucket());
        // moto shows objects to everybody who says who they are.
        let ask =
            |method, url: &str| reqwest::Client::new().request(method, url).header("authorization", "AWS x:y").send();
        let head = ask(Method::HEAD, &url).await.expect("an answer");
        let header = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!(header("content-type"), "video/mp4", "{name}");
        assert_eq!(header("x-amz-server-side-encryption"), "aws:kms", "{name}");
        assert_eq!(header("x-amz-server-side-encryption-aws-kms-key-id"), config.sse_kms_key_id, "{name}");
        assert_eq!(header("x-amz-storage-class"), "STANDARD_IA", "{name}");
        assert_eq!(header("x-amz-meta-made-by"), "mediamill", "{name}");
        let tags = ask(Method::GET, &format!("{url}?tagging")).await.expect("an answer").text().await.expect("tags");
        for tag in ["<Key>team</Key>", "<Value>crm + sales</Value>", "<Key>kind</Key>", "<Value>media</Value>"] {
            assert!(tags.contains(tag), "{name}: no {tag} in {tags}");
        }
    }
}

/// Names, sizes and classes that objects are to have with `store.class = "rare"`, by what the store calls it.
pub(super) fn classes(rare: &'static str, usual: &'static str) -> Vec<(&'static str, usize, &'static str)> {
    vec![
        ("original.ogg", 200 << 10, rare),
        ("audio.mp3", 128 << 10, rare),
        ("video.mp4", 6 << 20, rare),
        ("audio.mp3", (128 << 10) - 1, usual),
        ("peaks.json", 200 << 10, usual),
        ("waveform.png", 200 << 10, usual),
        ("thumbnail.jpg", 200 << 10, usual),
    ]
}

#[tokio::test]
async fn large_originals_and_playbacks_have_a_class_and_nothing_else_has() {
    for server in [S3::moto().await, S3::seaweed().await] {
        let Some(s3) = server else { return };
        let dir = Dir::new();
        let mut config = s3.store_config();
        config.class = "rare".to_owned();
        let store = Store::connect(&config).await.expect("a store");
        let folder = store.folder("acme", "1");
        for (name, size, class) in classes("GLACIER_IR", "none") {
            let file = dir.write("f", noise(size));
            let key = store.put_addressed(&folder, name, &file, PutOptions::of("video/mp4")).await.expect("stored").key;
            assert_eq!(s3.class(&key).await.as_deref().unwrap_or("none"), class, "{name} of {size} bytes");
        }
        let manifest = folder.manifest();
        assert!(
            store
                .put_new(&manifest, noise(200 << 10).into(), PutOptions::of("application/json"))
                .await
                .expect("stored")
        );
        assert_eq!(s3.class(&manifest).await, None);
    }
}

#[tokio::test]
async fn what_is_deleted_soon_has_no_class() {
    let Some(s3) = S3::moto().await else { return };
    let dir = Dir::new();
    let mut config = s3.store_config();
    config.class = "infrequent".to_owned();
    let store = Store::connect(&config).await.expect("a store");
    for (id, days, class) in [("1", 29, None), ("2", 31, Some("STANDARD_IA"))] {
        let expires_at = Some(std::time::SystemTime::now() + std::time::Duration::from_secs(days * 24 * 3600));
        let options = PutOptions { expires_at, ..PutOptions::of("audio/mpeg") };
        let file = dir.write("f", noise(200 << 10));
        let stored = store.put_addressed(&store.folder("acme", id), "audio.mp3", &file, options).await.expect("stored");
        assert_eq!(s3.class(&stored.key).await.as_deref(), class, "{days} days");
    }
}

#[tokio::test]
async fn the_rules_that_are_printed_are_taken_by_a_server() {
    let Some(s3) = S3::moto().await else { return };
    let dir = Dir::new();
    let print = |url: &str| dir.run(["store", "lifecycle", "--print", "--set", &format!("store.url={url}")]);
    let printed = print("s3://media/assets").exits(0).stdout;
    let rules = s3.rules_after(&printed).await;
    assert_eq!(rules, ["mediamill-uploads", "mediamill-versions"]);
    print("file:///somewhere").exits(2);
}

#[tokio::test]
async fn what_is_to_be_saved_says_so_however_it_is_put() {
    let Some(s3) = S3::moto().await else { return };
    let dir = Dir::new();
    let store = Store::connect(&s3.store_config()).await.expect("a store");
    let saved = PutOptions { content_disposition: Some("attachment"), ..PutOptions::of("text/html") };
    store.put_file("small", &dir.write("f", noise(5)), saved).await.expect("stored");
    store.put_file("large", &dir.write("f", noise(6 << 20)), saved).await.expect("stored");
    store.put_bytes("bytes", "x".into(), saved).await.expect("stored");
    assert!(store.put_new("new", "x".into(), saved).await.expect("stored"));
    store.put_bytes("shown", "x".into(), PutOptions::of("image/png")).await.expect("stored");
    for (key, content_type, disposition) in [
        ("small", "text/html", "attachment"),
        ("large", "text/html", "attachment"),
        ("bytes", "text/html", "attachment"),
        ("new", "text/html", "attachment"),
        ("shown", "image/png", "none"),
    ] {
        let url = format!("{}/{}/{key}", s3.endpoint(), s3.bucket());
        let head =
            reqwest::Client::new().head(&url).header("authorization", "AWS x:y").send().await.expect("an answer");
        let header = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!((header("content-type"), header("content-disposition")), (content_type, disposition), "{key}");
    }
    let wrong = PutOptions { sha256: Some("00"), ..saved };
    assert!(store.put_new("promised", "x".into(), wrong).await.is_err());
}

#[tokio::test]
async fn a_store_url_without_a_prefix_has_keys_without_one() {
    let s3 = S3::start();
    let mut config = s3.store_config();
    config.url = "s3://media".to_owned();
    let store = Store::connect(&config).await.expect("a store");
    assert_eq!(store.url_for_display(), "s3://media");
    let key = store.folder("acme", "1").manifest();
    store.put_bytes(&key, "{}".into(), PutOptions::default()).await.expect("stored");
    assert_eq!(std::fs::read(s3.file("acme/1/manifest.json")).expect("an object"), b"{}");
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let s3 = S3::start();
    let env: Vec<_> = s3.env().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let config = load(None, env, &[]).expect("a configuration");
    let store = Store::connect(&config.store).await.expect("a store");
    store.check().await.expect("the secret is known");
    let secret = config.store.secret_access_key.expose();
    for shown in [format!("{config:?}"), format!("{store:?}"), store.url_for_display()] {
        assert!(!shown.contains(&*secret), "{shown}");
    }
}
