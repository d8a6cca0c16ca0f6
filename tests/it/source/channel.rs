//! Files of messaging accounts, from providers that answer what their documentation and their users have seen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mediamill::config;
use mediamill::error::{Code, Fault};
use mediamill::events::{Declared, Origin};
use mediamill::source::{Fetched, SourceError, Sources};
use mediamill::store::Store;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::http::{Asked, Http, Step, answer, ok, redirect};

pub(super) const FILE: &[u8] = b"OggS and so on";
/// What a credential of the account looks like, which must be seen by its hosts alone.
const TOKEN: &str = "our-token";

pub(super) struct World {
    sources: Sources,
    dir: tempfile::TempDir,
}

impl World {
    /// Accounts by name, each with its keys; hosts that redirects may lead to.
    async fn new(accounts: &[(&str, &[(&str, &str)])], allowed: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut flags = vec![
            ("store.url".to_owned(), format!("file://{}", dir.path().display())),
            ("source.http_allow_plain".to_owned(), "true".to_owned()),
            ("source.http_allow_hosts".to_owned(), allowed.join(",")),
        ];
        for (name, keys) in accounts {
            let own = [("tenant", "acme"), ("token", TOKEN)];
            flags.extend(
                own.iter().chain(*keys).map(|(key, value)| (format!("channels.{name}.{key}"), (*value).to_owned())),
            );
        }
        let config = config::load(None, [], &flags).expect("a configuration");
        let store = Store::connect(&config.store).await.expect("a store");
        Self { sources: Sources::new(&config, &store).expect("accounts that can work"), dir }
    }

    pub(super) async fn fetch(
        &self,
        account: &str,
        media: &str,
        declared: Option<&Declared>,
    ) -> Result<Fetched, SourceError> {
        self.fetch_for("acme", account, media, declared).await
    }

    pub(super) async fn fetch_for(
        &self,
        tenant: &str,
        account: &str,
        media: &str,
        declared: Option<&Declared>,
    ) -> Result<Fetched, SourceError> {
        let origin = Origin::Channel { account: account.to_owned(), media: media.to_owned() };
        self.sources.fetch(tenant, &origin, declared, 1 << 20, &self.dir.path().join("file")).await
    }
}

pub(super) async fn whatsapp(api: &Http) -> World {
    World::new(&[("support", &[("provider", "whatsapp-cloud"), ("api_base", &api.url(""))])], &[]).await
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Meta's answer to a request for an id: where the file is on this server.
pub(super) fn found(asked: &Asked, path: &str) -> Vec<Step> {
    let host = asked.headers.iter().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let url = format!("http://{host}{path}").replace('/', "\\/");
    let size = FILE.len();
    let body = format!(
        r#"{{"url":"{url}","mime_type":"audio\/ogg","sha256":"{}","file_size":"{size}","id":"7"}}"#,
        hex_of(FILE)
    );
    ok(body)
}

pub(super) fn error(status: &str, body: &str) -> Vec<Step> {
    answer(status, &["content-type: application/json", &format!("content-length: {}", body.len())], body)
}

fn has(asked: &Asked, header: &str) -> bool {
    asked.headers.iter().any(|line| line == header)
}

fn counted(count: &AtomicUsize) -> usize {
    count.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test]
async fn a_file_takes_two_requests_with_the_token_and_an_agent_in_both() {
    let api =
        Http::start(|asked| if asked.path.starts_with("/v24.0/7") { found(asked, "/att?mid=1") } else { ok(FILE) });
    let world = whatsapp(&api).await;
    let fetched = world.fetch("support", "7", None).await.expect("a file");
    assert_eq!(fetched.sha256, hex_of(FILE));
    let asked = api.asked();
    assert_eq!(asked.iter().map(|asked| asked.path.as_str()).collect::<Vec<_>>(), ["/v24.0/7", "/att?mid=1"]);
    for asked in &asked {
        assert!(has(asked, "authorization: bearer our-token"), "{asked:?}");
        assert!(asked.headers.iter().any(|line| line.starts_with("user-agent: mediamill/")), "{asked:?}");
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_resolved_again_once() {
    let downloads = AtomicUsize::new(0);
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/v24.0/7" | "/v24.0/8" => found(asked, if asked.path.ends_with('7') { "/once" } else { "/never" }),
        "/once" if counted(&downloads) > 0 => ok(FILE),
        _ => error("404 Not Found", ""),
    });
    let world = whatsapp(&api).await;
    world.fetch("support", "7", None).await.expect("a file");
    let paths = |api: &Http| api.asked().into_iter().map(|asked| asked.path).collect::<Vec<_>>();
    assert_eq!(paths(&api), ["/v24.0/7", "/once", "/v24.0/7", "/once"]);
    // It stays away: that is no final answer, as the id is still there.
    let fault = Fault::from(world.fetch("support", "8", None).await.expect_err("no file"));
    assert!(matches!(fault, Fault::Transient { code: Code::SourceUnavailable, .. }), "{fault:?}");
    assert_eq!(paths(&api).len(), 8);
}

#[tokio::test]
async fn an_id_that_is_gone_is_final_after_one_call() {
    let gone = r#"{"error":{"message":"Unsupported get request","type":"GraphMethodException","code":100,"error_subcode":33}}"#;
    let api = Http::start(|_| error("400 Bad Request", gone));
    let world = whatsapp(&api).await;
    let fault = Fault::from(world.fetch("support", "7", None).await.expect_err("no file"));
    assert!(matches!(fault, Fault::Rejected { code: Code::SourceNotFound, .. }), "{fault:?}");
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_pauses_its_account_and_no_other() {
    let expired = r#"{"error":{"message":"Error validating access token","code":190}}"#;
    let api = Http::start(|asked| match asked.path.as_str() {
        "/v24.0/7" => error("401 Unauthorized", expired),
        "/v24.0/9" => found(asked, "/file"),
        _ => ok(FILE),
    });
    let keys: &[(&str, &str)] = &[("provider", "whatsapp-cloud"), ("api_base", &api.url(""))];
    let world = World::new(&[("expired", keys), ("well", keys)], &[]).await;
    for _ in 0..3 {
        let fault = Fault::from(world.fetch("expired", "7", None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Paused { code: Code::SourcePaused, .. }), "{fault:?}");
    }
    assert_eq!(api.asked().len(), 1, "the second and third waited without a call");
    world.fetch("well", "9", None).await.expect("a file");
}

#[tokio::test]
async fn usage_of_a_hundred_percent_pauses_for_minutes() {
    let usage = r#"{"900":[{"type":"whatsapp","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":7}]}"#;
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/v24.0/7" => {
            let host = asked.headers.iter().find_map(|line| line.strip_prefix("host: ")).expect("a host");
            let body = json!({ "url": format!("http://{host}/file") }).to_string();
            let headers = [format!("x-business-use-case-usage: {usage}"), format!("content-length: {}", body.len())];
            answer("200 OK", &headers.each_ref().map(String::as_str), body)
        }
        _ => ok(FILE),
    });
    let world = whatsapp(&api).await;
    match world.fetch("support", "7", None).await {
        Err(SourceError::Paused { wait, .. }) => assert!(wait > Duration::from_secs(6 * 60), "{wait:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_foreign_host_has_no_token() {
    let cdn = Http::start(|asked| {
        if asked.headers.iter().any(|line| line.starts_with("authorization")) {
            return error("400 Bad Request", "Only one auth mechanism allowed");
        }
        ok(FILE)
    });
    let elsewhere = cdn.url("/f").replace("127.0.0.1", "localhost");
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/v24.0/7" => found(asked, "/moved"),
        _ => redirect(302, &elsewhere),
    });
    let allowed = cdn.authority().replace("127.0.0.1", "localhost");
    let keys: &[(&str, &str)] = &[("provider", "whatsapp-cloud"), ("api_base", &api.url(""))];
    let world = World::new(&[("support", keys)], &[&allowed]).await;
    world.fetch("support", "7", None).await.expect("a file");
    assert_eq!(cdn.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_names_a_foreign_host_is_not_followed() {
    let thief = Http::start(|_| ok(FILE));
    let url = thief.url("/f");
    let api = Http::start(move |_| ok(json!({ "url": url }).to_string()));
    let world = whatsapp(&api).await;
    world.fetch("support", "7", None).await.expect_err("no file");
    for media in ["../7", "7?x=y", "7/8", "", "https://graph.facebook.com/7"] {
        let fault = Fault::from(world.fetch("support", media, None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Rejected { code: Code::SourceDenied, .. }), "{media}: {fault:?}");
    }
    assert!(thief.asked().is_empty());
}

#[tokio::test]
async fn an_account_that_is_not_configured_is_an_operators_matter() {
    let api = Http::start(|_| ok(FILE));
    let fault = Fault::from(whatsapp(&api).await.fetch("another", "7", None).await.expect_err("no file"));
    assert!(matches!(fault, Fault::Transient { .. }), "nothing is lost: {fault:?}");
}

#[tokio::test]
async fn hashes_are_compared_as_bytes_and_a_page_or_nothing_is_no_file() {
    let rounds = AtomicUsize::new(0);
    let api = Http::start(move |asked| match asked.path.as_str() {
        path if path.starts_with("/v24.0/") => found(asked, &path.replace("/v24.0", "/f")),
        "/f/page" if counted(&rounds) == 0 => {
            answer("200 OK", &["content-type: text/html; charset=utf-8", "content-length: 4"], "<!d>")
        }
        "/f/always-page" => answer("200 OK", &["content-type: text/html", "content-length: 4"], "<!d>"),
        "/f/empty" => ok(b""),
        _ => ok(FILE),
    });
    let world = whatsapp(&api).await;
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, Sha256::digest(FILE));
    let declared = |sha256: &str| Declared { sha256: Some(sha256.to_owned()), ..Declared::default() };
    world.fetch("support", "plain", Some(&declared(&base64))).await.expect("base64 and hex of the same bytes");
    let other = declared(&hex_of(b"other bytes"));
    let fault = Fault::from(world.fetch("support", "plain", Some(&other)).await.expect_err("other bytes"));
    assert!(matches!(fault, Fault::Rejected { code: Code::SourceHashMismatch, .. }), "{fault:?}");
    world.fetch("support", "page", None).await.expect("the second time");
    for media in ["always-page", "empty"] {
        assert!(world.fetch("support", media, None).await.is_err(), "{media}");
    }
}

#[tokio::test]
async fn dialog360_is_asked_at_its_own_host_only() {
    let api = Http::start(|asked| match asked.path.as_str() {
        "/7" => {
            ok(r#"{"url":"https:\/\/lookaside.fbsbx.com\/whatsapp_business\/attachments\/?mid=7&ext=1&hash=A%2Fb"}"#)
        }
        _ => ok(FILE),
    });
    let keys: &[(&str, &str)] = &[("provider", "360dialog"), ("api_base", &api.url(""))];
    World::new(&[("support", keys)], &[]).await.fetch("support", "7", None).await.expect("a file");
    let asked = api.asked();
    assert_eq!(asked[1].path, "/whatsapp_business/attachments/?mid=7&ext=1&hash=A%2Fb");
    for asked in &asked {
        assert!(has(asked, "d360-api-key: our-token"), "{asked:?}");
        assert!(!asked.headers.iter().any(|line| line.starts_with("authorization")), "{asked:?}");
    }
}

#[tokio::test]
async fn four_errors_in_an_hour_have_the_next_job_of_that_account_wait() {
    let api = Http::start(|asked| match asked.path.as_str() {
        "/well" => ok(r#"{"url":"https:\/\/lookaside.fbsbx.com\/f"}"#),
        "/f" => ok(FILE),
        "/limit" => error("400 Bad Request", r#"{"error":"You have exceeded the endpoint rate limit."}"#),
        _ => error("500 Internal Server Error", r#"{"error":"x"}"#),
    });
    let keys: &[(&str, &str)] = &[("provider", "360dialog"), ("api_base", &api.url(""))];
    let world = World::new(&[("blocked", keys), ("limited", keys), ("well", keys)], &[]).await;
    for _ in 0..4 {
        let fault = Fault::from(world.fetch("blocked", "bad", None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Transient { .. }), "{fault:?}");
    }
    let fault = Fault::from(world.fetch("blocked", "well", None).await.expect_err("no call"));
    assert!(matches!(fault, Fault::Paused { .. }), "{fault:?}");
    assert_eq!(api.asked().len(), 4);
    world.fetch("well", "well", None).await.expect("another key goes on");
    let fault = Fault::from(world.fetch("limited", "limit", None).await.expect_err("later"));
    assert!(matches!(fault, Fault::Paused { .. }), "not invalid: {fault:?}");
}

const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn twilio_path() -> String {
    let message = "MM00000000000000000000000000000001";
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{message}/Media/ME00000000000000000000000000000001")
}

async fn twilio(api: &Http, allowed: &[&str]) -> World {
    let keys: &[(&str, &str)] = &[("provider", "twilio"), ("account", ACCOUNT), ("api_base", &api.url(""))];
    World::new(&[("sms", keys)], allowed).await
}

#[tokio::test]
async fn twilio_has_the_file_some_seconds_later_at_a_host_that_refuses_the_password() {
    let cdn = Http::start(|asked| {
        if asked.headers.iter().any(|line| line.starts_with("authorization")) {
            return error("400 Bad Request", "");
        }
        ok(FILE)
    });
    let elsewhere = cdn.url("/f?Expires=1").replace("127.0.0.1", "localhost");
    let early = AtomicUsize::new(0);
    let api = Http::start(
        move |_| if counted(&early) < 2 { error("404 Not Found", "{}") } else { redirect(307, &elsewhere) },
    );
    let world = twilio(&api, &[&cdn.authority().replace("127.0.0.1", "localhost")]).await;
    let began = Instant::now();
    world.fetch("sms", &api.url(&twilio_path()), None).await.expect("a file");
    assert!(began.elapsed() >= Duration::from_secs(4), "after 1 s and 3 s");
    let password = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{ACCOUNT}:{TOKEN}"));
    let header = format!("authorization: basic {password}").to_lowercase();
    assert!(api.asked().iter().all(|asked| has(asked, &header)), "{:?}", api.asked());
}

#[tokio::test]
async fn twilio_is_asked_for_the_accounts_own_files_alone() {
    let api = Http::start(|_| ok(FILE));
    let world = twilio(&api, &[]).await;
    let good = api.url(&twilio_path());
    for media in [
        good.replace(ACCOUNT, "AC00000000000000000000000000000002"),
        format!("{good}?x=y"),
        good.replace("http://", "http://user@"),
        format!("{good}/.."),
        good.replace("/Media/ME", "/Media/XX"),
        "no URL".to_owned(),
    ] {
        let fault = Fault::from(world.fetch("sms", &media, None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Rejected { code: Code::SourceDenied, .. }), "{media}: {fault:?}");
    }
    // An operator could add these hosts to the account's list.
    for media in [
        good.replace("127.0.0.1", "evil.example"),
        good.replace("http://", "https://"),
        "https://api.twilio.com:8443/x".to_owned(),
        good.replace(&api.authority(), "127.0.0.1:8443"),
    ] {
        let fault = Fault::from(world.fetch("sms", &media, None).await.expect_err("no file"));
        assert!(matches!(fault, Fault::Transient { code: Code::SourceUnavailable, .. }), "{media}: {fault:?}");
    }
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn bird_begins_again_where_the_signed_link_is_over_and_410_is_final() {
    let links = AtomicUsize::new(0);
    let s3 = Http::start(move |asked| {
        let refused = asked.headers.iter().any(|line| line.starts_with("authorization")) || counted(&links) == 0;
        if refused { error("403 Forbidden", "") } else { ok(FILE) }
    });
    let elsewhere = s3.url("/f").replace("127.0.0.1", "localhost");
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/gone" => error("410 Gone", ""),
        _ => redirect(302, &elsewhere),
    });
    let keys: &[(&str, &str)] = &[("provider", "bird-channels"), ("api_base", &api.url(""))];
    let world = World::new(&[("bird", keys)], &[&s3.authority().replace("127.0.0.1", "localhost")]).await;
    world.fetch("bird", &api.url("/media"), None).await.expect("a file");
    assert!(has(&api.asked()[0], "authorization: accesskey our-token"));
    let fault = Fault::from(world.fetch("bird", &api.url("/gone"), None).await.expect_err("gone"));
    assert!(matches!(fault, Fault::Rejected { code: Code::SourceNotFound, .. }), "{fault:?}");
}
