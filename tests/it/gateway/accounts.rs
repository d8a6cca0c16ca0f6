//! Accounts as an operator sees them: made, listed, asked about, compared with what the provider has.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mediamill::channels::check::Finding;
use mediamill::config::{self, Config};
use mediamill::roles::gateway::{self, ReconcileError, Reconciled};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Rig, Shelf, options, status};
use crate::channels::account;
use crate::support::cmd::Dir;
use crate::support::http::{Asked, Http, Step, answer, ok};

const TOKEN: &str = "hunter2";
const SID: &str = "AC00000000000000000000000000000001";

/// A configuration with one account `a`, whose API is this server.
fn configured(api: &Http, keys: &[(&str, &str)]) -> Config {
    let base = api.url("");
    let own = [("tenant", "acme"), ("token", TOKEN), ("api_base", base.as_str())];
    let mut set = vec![("gateway.public_url".to_owned(), "https://gw.example.test".to_owned())];
    set.extend(own.iter().chain(keys).map(|(key, value)| (format!("channels.a.{key}"), (*value).to_owned())));
    config::load(None, [], &set).expect("a configuration")
}

async fn found(api: &Http, keys: &[(&str, &str)]) -> Vec<(&'static str, Finding)> {
    gateway::check(&configured(api, keys), "a").await.expect("an account")
}

#[tokio::test]
async fn meta_is_asked_with_the_token_and_the_missing_permission_is_told() {
    let api = Http::start(|asked| match asked.path.as_str() {
        path if path.starts_with("/v24.0/debug_token?input_token=hunter2") => {
            ok(r#"{"data":{"is_valid":true,"scopes":["whatsapp_business_management"]}}"#)
        }
        "/v24.0/800?fields=id" => {
            let body = r#"{"error":{"code":100,"error_subcode":33}}"#;
            answer("400 Bad Request", &[&format!("content-length: {}", body.len())], body)
        }
        _ => answer("404 Not Found", &["content-length: 0"], ""),
    });
    let findings = found(&api, &[("provider", "whatsapp-cloud"), ("account", "800")]).await;
    assert!(
        matches!(&findings[0], ("token", Finding::Fails(text, _)) if text.contains("whatsapp_business_messaging")),
        "{findings:?}"
    );
    assert!(matches!(&findings[1], ("number", Finding::Fails(text, _)) if text.contains("code 100")), "{findings:?}");
    let bearer = |asked: &Asked| asked.headers.iter().any(|line| line == "authorization: bearer hunter2");
    assert!(api.asked().iter().all(bearer) && api.asked().len() == 2);
    let shown = format!("{findings:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn a_wrong_pair_at_twilio_an_active_account_and_a_server_that_is_away() {
    let keys = [("provider", "twilio"), ("account", SID)];
    let refused = Http::start(|_| answer("401 Unauthorized", &["content-length: 0"], ""));
    assert!(matches!(found(&refused, &keys).await[0].1, Finding::Fails(..)));
    let active = Http::start(|_| ok(r#"{"status":"active"}"#));
    assert!(matches!(found(&active, &keys).await[0].1, Finding::Works(_)));
    assert_eq!(active.asked()[0].path, format!("/2010-04-01/Accounts/{SID}.json"));
    let away = Http::start(|_| answer("503 Away", &["content-length: 0"], ""));
    assert!(matches!(found(&away, &keys).await[0].1, Finding::Unknown(_)));
}

fn list(asked: &Asked) -> Vec<Step> {
    let messages = format!("/2010-04-01/Accounts/{SID}/Messages");
    let media = |n: u32| format!("{messages}/MM{n:032}/Media/ME{n:032}.json");
    let inbound = |n: u32| {
        format!(
            r#"{{"sid":"MM{n:032}","direction":"inbound","num_media":"1","from":"whatsapp:+5511999990000","to":"whatsapp:+1","body":"x"}}"#
        )
    };
    let path = asked.path.as_str();
    if path == format!("{messages}.json?Page=2") {
        return ok(format!(r#"{{"messages":[{}],"next_page_uri":null}}"#, inbound(2)));
    }
    if path.starts_with(&format!("{messages}.json?DateSent%3E=")) {
        return ok(format!(r#"{{"messages":[{}],"next_page_uri":"{messages}.json?Page=2"}}"#, inbound(1)));
    }
    for n in [1, 2] {
        if path == format!("{messages}/MM{n:032}/Media.json") {
            return ok(format!(r#"{{"media_list":[{{"content_type":"audio/ogg","uri":"{}"}}]}}"#, media(n)));
        }
    }
    answer("404 Not Found", &["content-length: 0"], "")
}

#[tokio::test]
async fn what_twilio_lists_becomes_the_events_that_its_webhooks_become() {
    let api = Http::start(list);
    let config = configured(&api, &[("provider", "twilio"), ("account", SID), ("app_secret", "k")]);
    let since = jiff::Timestamp::now() - Duration::from_secs(3600);
    let shelf = Shelf::open();
    let done = gateway::reconcile(&config, "a", since, &*shelf, &|_| false).await.expect("reconciled");
    assert_eq!(done, Reconciled { listed: 2, known: 0, published: 2 });
    let basic = |asked: &Asked| asked.headers.iter().any(|line| line.starts_with("authorization: basic "));
    assert!(api.asked().iter().all(basic));

    // The webhook of the first one, as Twilio sends it.
    let url = format!("{}/2010-04-01/Accounts/{SID}/Messages/MM{:032}/Media/ME{:032}", api.url(""), 1, 1);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("MessageSid", format!("MM{:032}", 1).as_str()),
            ("AccountSid", SID),
            ("From", "whatsapp:+5511999990000"),
            ("To", "whatsapp:+1"),
            ("Body", "x"),
            ("NumMedia", "1"),
            ("MediaUrl0", &url),
            ("MediaContentType0", "audio/ogg"),
        ])
        .finish();
    let settings = mediamill::channels::Account::new("a", &config.channels["a"]).expect("an account");
    let headers = crate::channels::headers(&[("content-type", "application/x-www-form-urlencoded")]);
    let update = crate::channels::channel(&settings)
        .parse(&crate::channels::post(&headers, form.as_bytes()))
        .expect("a webhook")
        .remove(0);
    let event = mediamill::channels::outgoing(&settings, update, jiff::Timestamp::now()).expect("an event");
    let listed = shelf.events.lock().expect("no panic").first().expect("an event").event.clone();
    assert_eq!((listed.id, listed.data), (event.event.id, event.event.data));

    let first = format!("MM{:032}", 1);
    let done = gateway::reconcile(&config, "a", since, &*shelf, &|sid| sid == first).await.expect("reconciled");
    assert_eq!(done, Reconciled { listed: 2, known: 1, published: 1 });
    let refused = Http::start(|_| answer("401 Unauthorized", &["content-length: 0"], ""));
    let config = configured(&refused, &[("provider", "twilio"), ("account", SID)]);
    let ended = gateway::reconcile(&config, "a", since, &*shelf, &|_| false).await;
    assert!(matches!(ended, Err(ReconcileError::Status(401))), "{ended:?}");
}

#[tokio::test]
async fn after_webhooks_could_not_be_taken_the_provider_is_asked_what_it_has() {
    let (listings, is_empty) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), AtomicBool::new(true));
    let counted = std::sync::Arc::clone(&listings);
    let api = Http::start(move |asked| {
        if asked.path.contains("DateSent") {
            counted.fetch_add(1, Ordering::SeqCst);
            if is_empty.swap(false, Ordering::SeqCst) {
                return ok(r#"{"messages":[]}"#);
            }
        }
        list(asked)
    });
    let config = configured(&api, &[("provider", "twilio"), ("account", SID), ("app_secret", "sesame")]);
    let shelf = Shelf::open();
    let twilio = mediamill::channels::Account {
        name: "a".to_owned(),
        ..account(mediamill::channels::Provider::Twilio, "sesame")
    };
    let rig = Rig::start(options(), vec![twilio], shelf.clone()).await;
    let shutdown = CancellationToken::new();
    let keeping = tokio::spawn(gateway::keep_reconciled(rig.gateway.clone(), config, shutdown.clone()));
    let until = async |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while listings.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "{} of {count} listings", listings.load(Ordering::SeqCst));
            sleep(Duration::from_millis(50)).await;
        }
    };
    until(1).await;
    let body = crate::channels::samples::twilio(1);
    let headers = super::answers::sign_twilio_at("https://gw.example.test/v1/channels/a", body.as_bytes());
    let named: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    *shelf.refuses.lock().expect("no panic") = true;
    assert_eq!(status(&rig.post("a", &named, body.as_bytes()).await), 503);
    assert_eq!(listings.load(Ordering::SeqCst), 1, "nothing while the broker is away");
    *shelf.refuses.lock().expect("no panic") = false;
    assert_eq!(status(&rig.post("a", &named, body.as_bytes()).await), 200);
    until(2).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while shelf.ids().len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", shelf.ids());
        sleep(Duration::from_millis(50)).await;
    }
    // The list has two messages, of which the webhook that was taken is the first one.
    let ids = shelf.ids();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    shutdown.cancel();
    keeping.await.expect("ended");
}

#[test]
fn init_writes_a_configuration_that_starts_with_secrets_that_only_its_owner_reads() {
    let dir = Dir::new();
    let args = [
        "init",
        "--provider",
        "whatsapp-cloud",
        "--tenant",
        "acme",
        "--account",
        "800000000000001",
        "--public-url",
        "https://gw.example.org/",
        "--token",
        "t0ken",
        "--app-secret",
        "env:APP_SECRET",
    ];
    // The variable is part of what a start needs.
    let run = |args: &[&str]| crate::support::cmd::Run::of(dir.command().args(args).env("APP_SECRET", "s3cret"));
    let made = run(&args).exits(0);
    assert!(made.stdout.contains("callback URL:  https://gw.example.org/v1/channels/support"), "{}", made.stdout);
    let token = made.stdout.lines().find_map(|line| line.strip_prefix("verify token:  ")).expect("a token").to_owned();
    assert_eq!(token.len(), 32);
    assert!(!made.stdout.contains("t0ken"));
    let text = std::fs::read_to_string(dir.path().join("mediamill.toml")).expect("a file");
    assert!(!text.contains("t0ken") && text.contains("app_secret = \"env:APP_SECRET\""), "{text}");
    for (name, value) in [("support-token", "t0ken"), ("support-verify-token", &token)] {
        let path = dir.path().join("secrets").join(name);
        assert_eq!(std::fs::read_to_string(&path).expect("a secret"), value);
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600, "{name}");
    }
    let again = run(&args).exits(2);
    assert!(again.stderr.contains("writes over nothing"), "{}", again.stderr);

    let listed = run(&["--config", "mediamill.toml", "channels", "--format", "json"]).exits(0).json_lines();
    assert_eq!(listed[0]["callback"], "https://gw.example.org/v1/channels/support");
    assert_eq!(
        (&listed[0]["provider"], listed[0]["findings"].as_array().map(Vec::len)),
        (&"whatsapp-cloud".into(), Some(0))
    );
    let unsigned = ["--config", "mediamill.toml", "--set", "channels.support.app_secret=", "channels"];
    assert!(run(&unsigned).exits(1).stdout.contains("all of them are refused"));
}

#[test]
fn init_names_the_option_that_is_missing_where_nobody_can_be_asked() {
    let dir = Dir::new();
    let run = dir.run(["init", "--provider", "twilio", "--tenant", "acme"]).exits(2);
    assert!(run.stderr.contains("--public-url is missing"), "{}", run.stderr);
    let run = dir.run(["init", "--provider", "telegram"]).exits(2);
    assert!(run.stderr.contains("whatsapp-cloud, 360dialog"), "{}", run.stderr);
    assert!(!dir.path().join("mediamill.toml").exists());
}
