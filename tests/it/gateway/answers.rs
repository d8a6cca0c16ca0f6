//! What is answered to what.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use mediamill::channels::{Account, Credential, GenericRules, Keys, Provider, Scheme};
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Rig, Shelf, options, post, signed, status};
use crate::channels::account;
use crate::channels::samples::{AUDIO, BIRD, BIRD_CHANNELS, MESSAGEBIRD, meta, twilio};

const KEY: &str = "sesame";
const FORM: &str = "application/x-www-form-urlencoded";

pub(super) type Headers = Vec<(&'static str, String)>;

/// Headers with the signature of a body, as the provider's documentation has it, of this age in seconds.
type Sign = fn(body: &[u8], age_s: i64) -> Headers;

struct Case {
    account: Account,
    body: String,
    sign: Sign,
    /// Whether a delivery of yesterday is refused.
    has_time: bool,
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().to_vec()
}

fn sent(age_s: i64) -> String {
    (jiff::Timestamp::now().as_second() - age_s).to_string()
}

const URL: &str = "https://gw.example.test/v1/channels/support";

fn sign_twilio(body: &[u8], _age_s: i64) -> Headers {
    sign_twilio_at(URL, body)
}

/// The signature of a form that is posted to this URL.
pub(super) fn sign_twilio_at(url: &str, body: &[u8]) -> Headers {
    let mut pairs: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
    pairs.sort();
    let text: String = pairs.into_iter().map(|(name, value)| name + &value).collect();
    let mut hmac = Hmac::<Sha1>::new_from_slice(KEY.as_bytes()).expect("any length");
    hmac.update(url.as_bytes());
    hmac.update(text.as_bytes());
    vec![("x-twilio-signature", STANDARD.encode(hmac.finalize().into_bytes())), ("content-type", FORM.to_owned())]
}

fn sign_jwt(body: &[u8], age_s: i64) -> Headers {
    let now = jiff::Timestamp::now().as_second() - age_s;
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let mut claims =
        json!({ "iss": "MessageBird", "nbf": now, "exp": now + 60, "jti": "1", "url_hash": hash(URL.as_bytes()) });
    if !body.is_empty() {
        claims["payload_hash"] = hash(body).into();
    }
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac(KEY.as_bytes(), &[text.as_bytes()])));
    vec![("messagebird-signature-jwt", token)]
}

fn sign_bird_channels(body: &[u8], age_s: i64) -> Headers {
    let (sent, hash) = (sent(age_s), Sha256::digest(body));
    let signature = mac(KEY.as_bytes(), &[sent.as_bytes(), b"\n", URL.as_bytes(), b"\n", &hash]);
    vec![("messagebird-signature", STANDARD.encode(signature)), ("messagebird-request-timestamp", sent)]
}

fn sign_bird(body: &[u8], age_s: i64) -> Headers {
    let sent = sent(age_s);
    let signature = mac(b"0123456789abcdef", &[b"msg_1.", sent.as_bytes(), b".", body]);
    let signature = format!("v1,{}", STANDARD.encode(signature));
    vec![("webhook-id", "msg_1".to_owned()), ("webhook-timestamp", sent), ("webhook-signature", signature)]
}

fn cases() -> Vec<Case> {
    let case = |provider, body: &str, sign: Sign, has_time| Case {
        account: account(provider, KEY),
        body: body.to_owned(),
        sign,
        has_time,
    };
    let mut generic = case(Provider::Generic, MESSAGEBIRD, |body, _| vec![("x-sig", signed(KEY, body))], false);
    generic.account.generic = Some(GenericRules {
        account: "ours".to_owned(),
        credential: Credential::Hmac { scheme: Scheme::Sha256, is_base64: false, prefix: "sha256=".to_owned() },
        header: "x-sig".to_owned(),
        messages: "/message".to_owned(),
        id: "/id".to_owned(),
        url: "/content/audio/url".to_owned(),
        mime_type: String::new(),
        file_name: String::new(),
        caption: String::new(),
        contact: "/from".to_owned(),
        contact_name: String::new(),
        time: String::new(),
        account_id: String::new(),
        from_me: String::new(),
        channel: String::new(),
    });
    let mut bird = case(Provider::Bird, BIRD, sign_bird, true);
    bird.account.signing_keys = Keys::of_texts([format!("whsec_{}", STANDARD.encode("0123456789abcdef")).as_str()]);
    vec![
        case(Provider::WhatsappCloud, &meta(AUDIO), |body, _| vec![("x-hub-signature-256", signed(KEY, body))], false),
        case(Provider::Dialog360, &meta(AUDIO), |body, _| vec![("x-360dialog-signature", signed(KEY, body))], false),
        case(Provider::Twilio, &twilio(1), sign_twilio, false),
        case(Provider::Messagebird, MESSAGEBIRD, sign_jwt, true),
        case(Provider::BirdChannels, BIRD_CHANNELS, sign_bird_channels, true),
        bird,
        generic,
    ]
}

fn named(headers: &Headers) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn each_provider_and_each_way_of_being_wrong_has_its_status() {
    for Case { account, body, sign, has_time } in cases() {
        let provider = account.provider;
        let shelf = Shelf::open();
        let limits = mediamill::roles::gateway::Options { body_bytes: 64 << 10, ..options() };
        let rig = Rig::start(limits, vec![account], shelf.clone()).await;
        let send = async |headers: &Headers, body: &[u8]| status(&rig.post("support", &named(headers), body).await);
        let good = sign(body.as_bytes(), 0);
        let form = provider == Provider::Twilio;

        assert_eq!(send(&good, body.as_bytes()).await, 200, "{provider:?}: good");
        let first = shelf.ids();
        assert!(!first.is_empty(), "{provider:?}: an event");
        assert_eq!(send(&good, body.as_bytes()).await, 200, "{provider:?}: the same again");
        assert_eq!(shelf.ids(), [first.clone(), first.clone()].concat(), "{provider:?}: the same events");

        assert_eq!(send(&Vec::new(), body.as_bytes()).await, 401, "{provider:?}: not signed");
        let mut other = body.clone();
        other.push(' ');
        assert_eq!(send(&good, other.as_bytes()).await, 403, "{provider:?}: signed for another body");
        let cut = &body.as_bytes()[..body.len() / 2];
        assert_eq!(send(&good, cut).await, 403, "{provider:?}: cut off");
        let old = sign(body.as_bytes(), 25 * 3600);
        assert_eq!(send(&old, body.as_bytes()).await, if has_time { 403 } else { 200 }, "{provider:?}: of yesterday");

        let large = vec![b' '; (64 << 10) + 1];
        assert_eq!(send(&sign(&large, 0), &large).await, 413, "{provider:?}: too large");
        if !form {
            let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
            assert_eq!(send(&sign(deep.as_bytes(), 0), deep.as_bytes()).await, 400, "{provider:?}: deep");
            assert_eq!(send(&sign(cut, 0), cut).await, 400, "{provider:?}: cut off and signed");
            let latin = b"{\"object\":\"\xe9\"}";
            assert_eq!(send(&sign(latin, 0), latin).await, 400, "{provider:?}: no UTF-8");
        }
        let mut packed = good.clone();
        packed.push(("content-encoding", "gzip".to_owned()));
        assert_eq!(send(&packed, body.as_bytes()).await, 415, "{provider:?}: compressed");
        let known = shelf.ids().len();
        let elsewhere = rig.post("nobody", &named(&good), body.as_bytes()).await;
        assert_eq!((status(&elsewhere), shelf.ids().len()), (404, known), "{provider:?}: no such account");
        rig.shutdown.cancel();
        rig.ended.await.expect("ended");
    }
}

#[tokio::test]
async fn an_account_without_a_key_refuses_everything() {
    let rig = Rig::start(options(), vec![account(Provider::WhatsappCloud, "")], Shelf::open()).await;
    let body = meta(AUDIO);
    for key in ["", KEY] {
        let answer =
            rig.post("support", &[("x-hub-signature-256", &signed(key, body.as_bytes()))], body.as_bytes()).await;
        assert_eq!(status(&answer), 403);
    }
}

#[tokio::test]
async fn the_answer_comes_after_the_confirm_and_without_one_it_is_503() {
    let shelf = Shelf::with(0);
    let quick = mediamill::roles::gateway::Options { publish_timeout: Duration::from_millis(600), ..options() };
    let rig = Rig::start(quick, vec![account(Provider::WhatsappCloud, KEY)], shelf.clone()).await;
    let body = meta(AUDIO);
    let signature = signed(KEY, body.as_bytes());
    let headers = [("x-hub-signature-256", signature.as_str())];
    let unconfirmed = rig.post("support", &headers, body.as_bytes()).await;
    assert_eq!(status(&unconfirmed), 503);
    assert!(unconfirmed.contains("retry-after: 5"), "{unconfirmed}");

    let send = rig.post("support", &headers, body.as_bytes());
    let confirm = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(shelf.ids().is_empty());
        shelf.confirms.add_permits(1);
    };
    let (answer, ()) = tokio::join!(send, confirm);
    assert_eq!((status(&answer), shelf.ids().len()), (200, 1));

    *shelf.refuses.lock().expect("no panic") = true;
    shelf.confirms.add_permits(1);
    assert_eq!(status(&rig.post("support", &headers, body.as_bytes()).await), 503);
    // Nothing has to be confirmed of what is no media.
    let text = meta(r#"{"type":"text","id":"wamid.T","text":{"body":"hello"}}"#);
    let signature = signed(KEY, text.as_bytes());
    assert_eq!(status(&rig.post("support", &[("x-hub-signature-256", &signature)], text.as_bytes()).await), 200);
    let metrics = rig.gateway.metrics().encode();
    for line in [
        r#"mediamill_webhooks_total{account="support",answer="not-published"} 2"#,
        r#"mediamill_webhooks_total{account="support",answer="taken"} 2"#,
        r#"mediamill_webhook_ignored_total{account="support",kind="text"} 1"#,
        r#"mediamill_webhook_events_total{account="support",type="mediamill.media.received.v1"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_handshake_is_answered_with_the_bare_challenge() {
    let mut account = account(Provider::WhatsappCloud, KEY);
    account.verify_tokens = Keys::of_texts(["our-token"]);
    let rig = Rig::start(options(), vec![account], Shelf::open()).await;
    let get = async |query: &str| {
        let request = format!("GET /v1/channels/support?{query} HTTP/1.1\r\nhost: gw\r\nconnection: close\r\n\r\n");
        rig.raw(request.as_bytes()).await
    };
    let answer = get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=our-token").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n1158201444"), "{answer}");
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    assert_eq!(status(&get("hub.mode=subscribe&hub.challenge=1&hub.verify_token=x").await), 403);
    assert_eq!(status(&get("").await), 401);
    let put = String::from_utf8(post("support", &[], b"")).expect("text").replacen("POST", "PUT", 1);
    assert_eq!(status(&rig.raw(put.as_bytes()).await), 405);
}

#[tokio::test]
async fn three_megabytes_with_a_thousand_updates_are_ten_events() {
    let shelf = Shelf::open();
    let rig = Rig::start(options(), vec![account(Provider::WhatsappCloud, KEY)], shelf.clone()).await;
    let filler = "x".repeat(3_000);
    let text = format!(r#"{{"type":"text","id":"wamid.T","text":{{"body":"{filler}"}}}}"#);
    let mut messages = vec![text; 990];
    messages.extend((0..10).map(|n| AUDIO.replace("wamid.HBgAUDIO1", &format!("wamid.{n}"))));
    let body = meta(&messages.join(","));
    assert!(body.len() > 3_000_000 && body.len() < 4 << 20);
    let signature = signed(KEY, body.as_bytes());
    let answer = rig.post("support", &[("x-hub-signature-256", &signature)], body.as_bytes()).await;
    assert_eq!((status(&answer), shelf.ids().len()), (200, 10));
}

#[tokio::test]
async fn twilio_is_answered_with_empty_xml() {
    let rig = Rig::start(options(), vec![account(Provider::Twilio, KEY)], Shelf::open()).await;
    let body = twilio(1);
    let headers = sign_twilio(body.as_bytes(), 0);
    let answer = rig.post("support", &named(&headers), body.as_bytes()).await;
    assert!(answer.contains("content-type: text/xml") && answer.ends_with("\r\n\r\n<Response/>"), "{answer}");
}
