//! Links for people without credentials.

use std::time::{Duration, SystemTime};

use mediamill::error::Code;
use mediamill::store::{Link, LinkOptions, PutOptions, SignedUrl, Store};
use reqwest::{Response, StatusCode};

use super::Server;
use crate::support::faults::broken_as;

const MINUTE: LinkOptions<'_> =
    LinkOptions { expires_in: Duration::from_secs(60), content_type: None, content_disposition: None };
/// A name that would break a header and a URL that are not made with care.
const DISPOSITION: &str = "attachment; filename=\"a b&c.ogg\"; filename*=UTF-8''%C3%BC.ogg";

async fn signed(store: &Store, options: &LinkOptions<'_>) -> Option<SignedUrl> {
    match store.signed_url("s/a b%2F.ogg", options).await.expect("an answer") {
        Link::Signed(url) => Some(url),
        Link::Stream => None,
    }
}

async fn get(url: &str, range: Option<&str>) -> Response {
    let request = reqwest::Client::new().get(url);
    let request = range.into_iter().fold(request, |request, range| request.header("range", range));
    request.send().await.expect("an answer")
}

/// An object is read by a link, in whole and in part, and by no other that looks like it.
pub(super) async fn is_read_by_a_link(store: &Store, server: &Server) {
    store.put_bytes("s/a b%2F.ogg", "0123456789".into(), PutOptions::of("audio/ogg")).await.expect("stored");
    for life in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(604_801)] {
        broken_as(Code::WorkerBroken, store.signed_url("k", &LinkOptions { expires_in: life, ..MINUTE }).await);
    }
    let before = SystemTime::now();
    let Some(link) = signed(store, &MINUTE).await else {
        assert!(!server.signs, "it has links");
        return;
    };
    assert!(server.signs, "it has no links");
    let left = link.expires_at.duration_since(before).expect("later");
    assert!((59..=62).contains(&left.as_secs()), "{left:?}");
    let shown = format!("{link:?}");
    assert!(!shown.contains("ignature") && !shown.contains("http"), "{shown}");
    let whole = get(link.expose(), None).await;
    assert_eq!((whole.status(), header(&whole, "content-type")), (StatusCode::OK, "audio/ogg"));
    assert_eq!(whole.text().await.expect("text"), "0123456789");
    let part = get(link.expose(), Some("bytes=2-4")).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.text().await.expect("text"), "234");
    if server.checks_links {
        for wrong in [
            link.expose().replace("/s/", "/r/"),
            link.expose().replace("Expires=60", "Expires=61").replace("sp=r", "sp=rw"),
        ] {
            assert_ne!(wrong, link.expose());
            assert_eq!(get(&wrong, None).await.status(), StatusCode::FORBIDDEN, "{wrong}");
        }
        let short = LinkOptions { expires_in: Duration::from_secs(1), ..MINUTE };
        let short = signed(store, &short).await.expect("a link");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(get(short.expose(), None).await.status(), StatusCode::FORBIDDEN, "it has expired");
    }
    let named = LinkOptions { content_type: Some("audio/x-test"), content_disposition: Some(DISPOSITION), ..MINUTE };
    let named = signed(store, &named).await.expect("a link");
    let answer = get(named.expose(), None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    if server.overrides_headers {
        assert_eq!(header(&answer, "content-type"), "audio/x-test");
        assert_eq!(header(&answer, "content-disposition"), DISPOSITION);
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none")
}
