//! Who somebody is: tokens, key sets, proxies; and what they find.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{Desk, token};
use crate::support::cmd::repo_file;
use crate::support::http::{Http, ok};
use crate::support::say::no_service;

const MEDIA: &str = "/v1/media/acme/m";

#[tokio::test]
async fn each_role_has_what_it_is_for_and_nothing_else() {
    let desk = Desk::open(&[]).await;
    for (roles, path, status) in [
        (&["agent"][..], MEDIA, 200),
        (&["agent"], "/v1/media/acme/m/playback.mp3", 200),
        (&["agent"], "/v1/media/acme/m/original.ogg", 403),
        (&["agent"], "/v1/media/globex/theirs", 404),
        (&["agent"], "/v1/media/globex/none", 404),
        (&["agent"], "/v1/media/acme/none", 404),
        (&["lead"], "/v1/media/acme/m/original.ogg", 200),
        (&["lead"], "/v1/media/globex/theirs", 200),
        (&["clerk"], MEDIA, 403),
        (&["nobody"], MEDIA, 404),
        (&[], MEDIA, 404),
        (&["agent"], "/v1/media?tenant=globex", 404),
        (&["clerk"], "/v1/media?tenant=acme", 403),
        (&["agent"], "/v1/media", 400),
        (&["agent"], "/v1/media?tenant=acme&tennant=x", 400),
        (&["agent"], "/v1/media?tenant=acme&limit=1000000", 400),
        (&["agent"], "/v1/media?tenant=acme&cursor=AAAA", 400),
        (&["agent"], "/v1/media?tenant=acme&from=yesterday", 400),
        (&["agent"], "/v1/media?tenant=acme&state=erased", 400),
        (&["agent"], "/openapi.json", 200),
        (&["agent"], "/v2/media", 404),
    ] {
        let answer = desk.get(roles, path).await;
        assert_eq!(answer.status, status, "{roles:?} {path}: {}", answer.head);
        assert!(answer.header("cache-control").is_some(), "{path}");
    }
    // What is not theirs looks as what is not there, byte by byte.
    let theirs = desk.get(&["agent"], "/v1/media/globex/theirs").await;
    assert_eq!(theirs.body, desk.get(&["agent"], "/v1/media/globex/none").await.body);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(desk.ask(method, MEDIA, &[]).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn without_a_valid_token_nobody_is_known() {
    let desk = Desk::open(&[]).await;
    let valid = token(&json!({ "roles": ["lead"] }));
    for headers in [
        &[][..],
        &[("authorization", "Bearer x.y.z")],
        &[("authorization", "Basic bWFyaWE6eA==")],
        &[("authorization", "Bearer")],
        &[("authorization", ""), ("x-forwarded-user", "maria"), ("x-forwarded-groups", "lead")],
        &[("x-forwarded-user", "maria"), ("x-forwarded-groups", "lead")],
        &[("authorization", &format!("Bearer {valid}")), ("authorization", &format!("Bearer {valid}"))],
        &[("cookie", &format!("token={valid}"))],
    ] {
        let answer = desk.ask("GET", MEDIA, headers).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{headers:?}");
    }
    let own =
        async |claims| desk.ask("GET", MEDIA, &[("authorization", &format!("Bearer {}", token(&claims)))]).await.status;
    assert_eq!(own(json!({ "roles": "agent lead", "tenants": ["acme"] })).await, 200);
    assert_eq!(own(json!({ "roles": ["lead"], "tenants": ["globex"] })).await, 404);
    assert_eq!(own(json!({ "roles": ["lead"], "contact": "c0ffee" })).await, 200);
    assert_eq!(own(json!({ "roles": ["lead"], "contact": "beef" })).await, 404);
    assert_eq!(own(json!({ "roles": ["lead"], "contact": 7 })).await, 401);
}

#[tokio::test]
async fn a_proxy_is_believed_by_its_address_only() {
    let headers = [("x-forwarded-user", "maria"), ("x-forwarded-groups", "staff, lead")];
    let desk = Desk::open(&[("catalog.proxy_networks", "127.0.0.0/8")]).await;
    assert_eq!(desk.ask("GET", MEDIA, &headers).await.status, 200);
    let twice = [headers[0], headers[1], ("x-forwarded-user", "eve")];
    assert_eq!(desk.ask("GET", MEDIA, &twice).await.status, 401);
    assert_eq!(desk.ask("GET", MEDIA, &headers[1..]).await.status, 401);
    assert_eq!(desk.ask("GET", MEDIA, &headers[..1]).await.status, 404, "no roles");
    // A token that is wrong is not mended by what a proxy says.
    let both = [headers[0], headers[1], ("authorization", "Bearer x.y.z")];
    assert_eq!(desk.ask("GET", MEDIA, &both).await.status, 401);
    let far = Desk::open(&[("catalog.proxy_networks", "10.0.0.0/8")]).await;
    let spoofed = [headers[0], headers[1], ("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1")];
    assert_eq!(far.ask("GET", MEDIA, &spoofed).await.status, 401);
}

#[tokio::test]
async fn pages_of_a_search_follow_each_other() {
    let desk = Desk::open(&[]).await;
    for n in 0..25 {
        desk.put("acme", &format!("n{n}"), 100 + n).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&["agent"], &format!("/v1/media?tenant=acme&limit=10&kind=audio{cursor}")).await.json();
        seen.extend(page["items"].as_array().expect("a list").iter().map(|item| item["media_id"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(
            desk.get(&["agent"], &format!("/v1/media?tenant=acme&cursor={next}")).await.status,
            400,
            "another search"
        );
        cursor = format!("&cursor={next}");
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (28, 28));
}

/// Keys and tokens are made by PyJWT, a library that is not ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_key_set_may_be_replaced_while_the_catalogue_runs() {
    let python = repo_file("target/venv-judges/bin/python");
    if !python.exists() {
        return no_service("PyJWT is not installed; scripts/venv.sh judges does that");
    }
    let script = repo_file("tests/judges/keys.py");
    let output = std::process::Command::new(python).arg(script).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let set = Arc::new(AtomicUsize::new(0));
    let (which, sets) = (Arc::clone(&set), made["sets"].clone());
    let server = Http::start(move |_| ok(sets[which.load(Ordering::SeqCst)].to_string()));
    let desk = Desk::open(&[
        ("catalog.jwks_url", &server.url("/jwks")),
        ("catalog.jwks_hosts", &server.authority()),
        ("catalog.jwt_issuer", "https://login.example"),
        ("catalog.jwt_key", ""),
    ])
    .await;
    let ask = async |name: &str| {
        let bearer = format!("Bearer {}", made["tokens"][name].as_str().unwrap_or_else(|| panic!("{name}")));
        desk.ask("GET", MEDIA, &[("authorization", &bearer)]).await.status
    };
    for name in ["rs256", "es256", "eddsa", "ps256"] {
        assert_eq!(ask(name).await, 200, "{name}");
    }
    for name in [
        "hs256-with-public-key",
        "other-key",
        "unknown-kid",
        "no-kid",
        "wrong-issuer",
        "wrong-audience",
        "expired",
        "not-yet",
        "none",
    ] {
        assert_eq!(ask(name).await, 401, "{name}");
    }
    let before = server.asked().len();
    for _ in 0..20 {
        assert_eq!(ask("unknown-kid").await, 401);
    }
    assert!(server.asked().len() <= before + 1, "made-up ids of keys make no flood of requests");
}
