//! What ends a file of a messaging account, and what ends only a try of it.

use mediamill::config;
use mediamill::error::{Code, Fault};
use mediamill::events::Origin;
use mediamill::source::{SourceError, Sources};
use mediamill::store::Store;
use serde_json::json;

use super::channel::{FILE, error, found, whatsapp};
use crate::support::http::{Asked, Http, Step, answer, ok, redirect};

/// Meta's answer to a request for an id, with how much of the quota is used.
fn found_with_usage(asked: &Asked, percent: u32) -> Vec<Step> {
    let host = asked.headers.iter().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let body = json!({ "url": format!("http://{host}/file") }).to_string();
    let usage = json!({ "call_count": percent, "total_cputime": 1, "total_time": 1 });
    let headers = [format!("x-app-usage: {usage}"), format!("content-length: {}", body.len())];
    answer("200 OK", &headers.each_ref().map(String::as_str), body)
}

#[tokio::test]
async fn a_slowed_account_fetches_what_it_has_resolved_and_the_next_file_waits() {
    let api = Http::start(|asked| match asked.path.as_str() {
        "/file" => ok(FILE),
        _ => found_with_usage(asked, 85),
    });
    let world = whatsapp(&api).await;
    world.fetch("support", "7", None).await.expect("the first file");
    world.fetch("support", "8", None).await.expect("no interval has begun yet");
    match world.fetch("support", "9", None).await {
        Err(SourceError::Paused { wait, .. }) => tokio::time::sleep(wait).await,
        other => panic!("{other:?}"),
    }
    world.fetch("support", "9", None).await.expect("after the interval");
}

#[tokio::test]
async fn a_file_that_is_refused_alone_ends_no_other() {
    let forbidden = r#"{"error":{"message":"no permission","code":10}}"#;
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/v24.0/bad" => error("403 Forbidden", forbidden),
        "/v24.0/well" => found(asked, "/file"),
        "/v24.0/page" => error("503 Service Unavailable", &"x".repeat(100 << 10)),
        "/v24.0/none" => error("404 Not Found", "{}"),
        "/v24.0/odd" => error("405 Method Not Allowed", "{}"),
        "/v24.0/version" => error("400 Bad Request", r#"{"error":{"message":"unknown version","code":2635}}"#),
        "/v24.0/packed" => answer("503 Service Unavailable", &["content-encoding: gzip", "content-length: 1"], "x"),
        "/v24.0/huge" => ok("x".repeat(100 << 10)),
        "/v24.0/loop" => found(asked, "/loop"),
        "/loop" => redirect(302, "/loop"),
        _ => ok(FILE),
    });
    let world = whatsapp(&api).await;
    for media in ["bad", "page", "none", "odd", "version", "packed", "huge", "loop"] {
        let fault = Fault::from(world.fetch("support", media, None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Transient { code: Code::SourceUnavailable, .. }), "{media}: {fault:?}");
    }
    world.fetch("support", "well", None).await.expect("a file");
}

#[tokio::test]
async fn an_event_of_another_tenant_has_no_file_of_the_account() {
    let api = Http::start(|asked| if asked.path == "/file" { ok(FILE) } else { found(asked, "/file") });
    let world = whatsapp(&api).await;
    let fault = Fault::from(world.fetch_for("other", "support", "7", None).await.expect_err("no file"));
    assert!(matches!(fault, Fault::Rejected { code: Code::SourceDenied, .. }), "{fault:?}");
    assert!(api.asked().is_empty());
    world.fetch_for("acme", "support", "7", None).await.expect("its own");
}

async fn starts(keys: &[(&str, &str)]) -> Result<Sources, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut flags = vec![("store.url".to_owned(), format!("file://{}", dir.path().display()))];
    let own = [("tenant", "acme"), ("token", "t")];
    flags.extend(own.iter().chain(keys).map(|(key, value)| (format!("channels.a.{key}"), (*value).to_owned())));
    let config = config::load(None, [], &flags).map_err(|error| error.to_string())?;
    let store = Store::connect(&config.store).await.expect("a store");
    Sources::new(&config, &store).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_account_that_could_fetch_nothing_does_not_start() {
    let error = starts(&[("provider", "twilio")]).await.expect_err("no account");
    assert!(error.contains("account is missing"), "{error}");
    let generic = [("provider", "generic"), ("signature", "token"), ("signature_header", "x"), ("at_id", "/id")];
    let mut generic = generic.to_vec();
    generic.push(("at_url", "/url"));
    let error = starts(&generic).await.expect_err("no hosts");
    assert!(error.contains("hosts"), "{error}");
    generic.push(("hosts", "files.example.test"));
    starts(&generic).await.expect("hosts");
    let sources = starts(&[("provider", "whatsapp-cloud"), ("api_base", "https://graph.facebook.com/")]).await;
    let origin = Origin::Channel { account: "a".to_owned(), media: "7".to_owned() };
    assert_eq!(sources.expect("a base").lifetime(&origin).map(|lifetime| lifetime.as_secs()), Some(7 * 24 * 3600));
}
