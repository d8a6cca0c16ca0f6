//! Files: parts, names, types, and what is gone.

use mediamill::roles::catalog::index::Change;

use super::{Desk, KEY};
use crate::catalog::at;

const PLAYBACK: &str = "/v1/media/acme/m/playback.mp3";

#[tokio::test]
async fn a_file_comes_whole_and_in_parts() {
    let desk = Desk::open(&[]).await;
    let whole = desk.get(&["lead"], PLAYBACK).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("audio/mpeg")), "{}", whole.head);
    assert_eq!(whole.body, desk.bytes);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    let bearer = format!("Bearer {}", super::token(&serde_json::json!({ "roles": ["lead"] })));
    let ask = async |range: &str, more: (&str, &str)| {
        desk.ask("GET", PLAYBACK, &[("authorization", &bearer), ("range", range), more]).await
    };
    let part = ask("bytes=10-19", ("if-range", &tag)).await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 10-19/100000")));
    assert_eq!(part.body, &desk.bytes[10..20]);
    let last = ask("bytes=-3", ("x", "y")).await;
    assert_eq!((last.status, &last.body[..]), (206, &desk.bytes[99_997..]));
    let other = ask("bytes=10-19", ("if-range", "\"another\"")).await;
    assert_eq!((other.status, other.body.len()), (200, 100_000));
    let beyond = ask("bytes=100000-", ("x", "y")).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */100000")));
    let many: String = (0..500).map(|n| format!("{n}-{n},")).collect();
    assert_eq!(ask(&format!("bytes={many}"), ("x", "y")).await.status, 200, "many ranges are passed over");
    let same = ask("", ("if-none-match", &tag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = desk.ask("HEAD", PLAYBACK, &[("authorization", &bearer)]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("100000"), 0));
}

#[tokio::test]
async fn a_name_from_outside_stays_a_name() {
    let desk = Desk::open(&[]).await;
    let saved = desk.get(&["lead"], &format!("{PLAYBACK}?download=1")).await;
    let disposition = saved.header("content-disposition").expect("a name");
    assert!(
        disposition.starts_with("attachment; filename=\"__ x=gpj.<b>.mp3\"; filename*=UTF-8''%22%3B%20x%3Dgpj."),
        "{disposition}"
    );
    assert_eq!(saved.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(saved.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    let shown = desk.get(&["lead"], PLAYBACK).await;
    assert!(shown.header("content-disposition").is_some_and(|name| name.starts_with("inline")));
    // The same file under another extension: a link goes on when the media was normalized to something else.
    assert_eq!(desk.get(&["lead"], "/v1/media/acme/m/playback.m4a").await.status, 200);
    assert_eq!(desk.get(&["lead"], "/v1/media/acme/m/manifest.json").await.status, 404);
}

#[tokio::test]
async fn what_is_gone_says_so_to_those_whose_it_was() {
    let desk = Desk::open(&[]).await;
    let gone = Change::Erased {
        tenant: "acme".to_owned(),
        media_id: "gone".to_owned(),
        certificate: "cert-7".to_owned(),
        erased_at: at(1),
    };
    let old =
        Change::Expires { tenant: "acme".to_owned(), media_id: "old".to_owned(), expires_at: Some(at(-1_000_000_000)) };
    desk.index.apply(&[gone, old]).await.expect("stored");
    for path in ["/v1/media/acme/gone", "/v1/media/acme/gone/playback.mp3", "/m/acme/gone/"] {
        let answer = desk.get(&["lead"], path).await;
        assert_eq!((answer.status, answer.code().as_str()), (410, "catalog.erased"), "{path}");
        assert_eq!(answer.json()["certificate"], "cert-7", "{path}");
        assert_eq!(desk.get(&["clerk"], path).await.status, 403, "{path}");
        assert_eq!(desk.get(&["nobody"], path).await.status, 404, "{path}");
    }
    let answer = desk.get(&["lead"], "/v1/media/acme/old/playback.mp3").await;
    assert_eq!((answer.status, answer.code().as_str()), (410, "catalog.expired"));
    let list = desk.get(&["lead"], "/v1/media?tenant=acme").await.json();
    let ids: Vec<_> = list["items"].as_array().expect("a list").iter().map(|item| item["media_id"].clone()).collect();
    assert_eq!(ids, ["m"]);
}

#[tokio::test]
async fn a_store_that_signs_is_led_to_by_a_redirect_that_nobody_keeps() {
    // Signing asks nobody: the server of this bucket need not be there.
    let s3 = [
        ("store.url", "s3://bucket/media"),
        ("store.endpoint", "http://127.0.0.1:9"),
        ("store.region", "eu-west-1"),
        ("store.access_key_id", "AKIAIOSFODNN7EXAMPLE"),
        ("store.secret_access_key", KEY),
    ];
    let local = Desk::open(&[]).await;
    let desk = Desk::over(&local, &s3).await;
    let answer = desk.get(&["lead"], PLAYBACK).await;
    assert_eq!(answer.status, 302, "{}", answer.head);
    let location = answer.header("location").expect("a place");
    assert!(
        location.contains("X-Amz-Signature=") && location.contains("response-content-type=audio%2Fmpeg"),
        "{location}"
    );
    assert!(location.contains("X-Amz-Expires=300"), "{location}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let bearer = format!("Bearer {}", super::token(&serde_json::json!({ "roles": ["lead"] })));
    let json = desk.ask("GET", PLAYBACK, &[("authorization", &bearer), ("accept", "application/json")]).await;
    assert_eq!(json.status, 200);
    assert!(json.json()["url"].as_str().is_some_and(|url| url.contains("X-Amz-Signature=")));
    assert!(json.json()["expires_at"].is_string());
    let page = desk.get(&["lead"], "/m/acme/m/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("media-src 'self' http://"), "{policy}");
}
