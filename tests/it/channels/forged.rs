//! Damaged, deep and unexpected bodies: parsers and verifiers end, and do not panic.

use mediamill::channels::{
    Account, Credential, Denied, GenericRules, MAX_UPDATES, Provider, Request, Scheme, outgoing,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::samples::{AUDIO, BIRD, BIRD_CHANNELS, MESSAGEBIRD, meta, meta_field, twilio};
use super::{account, at, channel, headers, post};

/// Every provider, with bodies that it reads to the end.
fn samples() -> Vec<(Account, Vec<String>)> {
    let mut whatsapp = account(Provider::WhatsappCloud, "k");
    (whatsapp.echoes, whatsapp.history) = (true, true);
    let unsupported =
        r#"{"type":"unsupported","id":"wamid.U","unsupported":{"type":"gif"},"errors":[{"code":131051}]}"#;
    let edit = r#"{"type":"edit","id":"wamid.E","edit":{"original_message_id":"wamid.I","message":{"type":"image","image":{"id":"79","caption":"c"}}}}"#;
    let revoke = r#"{"type":"revoke","id":"wamid.K","revoke":{"original_message_id":"wamid.I"}}"#;
    let meta_bodies = vec![
        meta(AUDIO),
        meta(&[AUDIO, unsupported, edit, revoke].join(",")),
        meta_field("smb_message_echoes", &format!(r#""message_echoes":[{AUDIO}]"#)),
        meta_field("history", &format!(r#""history":[{{"threads":[{{"id":"1","messages":[{AUDIO}]}}]}}]"#)),
    ];
    let mut dialog = Account { provider: Provider::Dialog360, ..whatsapp.clone() };
    dialog.echoes = true;
    let mut generic = account(Provider::Generic, "k");
    generic.generic = Some(GenericRules {
        account: "ours".to_owned(),
        credential: Credential::Hmac { scheme: Scheme::Sha256, is_base64: true, prefix: "v=".to_owned() },
        header: "x-sig".to_owned(),
        messages: "/message".to_owned(),
        id: "/id".to_owned(),
        url: "/content/audio/url".to_owned(),
        mime_type: "/type".to_owned(),
        file_name: "/to".to_owned(),
        caption: "/from".to_owned(),
        contact: "/from".to_owned(),
        contact_name: "/contact/displayName".to_owned(),
        time: "/createdDatetime".to_owned(),
        account_id: "/conversation/id".to_owned(),
        from_me: "/direction".to_owned(),
        channel: String::new(),
    });
    vec![
        (whatsapp, meta_bodies.clone()),
        (dialog, meta_bodies),
        (account(Provider::Twilio, "k"), vec![twilio(1), twilio(3)]),
        (account(Provider::Messagebird, "k"), vec![MESSAGEBIRD.to_owned()]),
        (account(Provider::BirdChannels, "k"), vec![BIRD_CHANNELS.to_owned()]),
        (account(Provider::Bird, "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="), vec![BIRD.to_owned()]),
        (generic, vec![MESSAGEBIRD.to_owned()]),
    ]
}

/// Runs a body through everything that looks at one, and says whether it was read.
fn run(account: &Account, body: &[u8]) -> bool {
    let text = "application/x-www-form-urlencoded";
    let signature = String::from_utf8_lossy(&body[..body.len().min(200)]).replace(['\n', '\r'], "");
    let names = [
        "x-hub-signature-256",
        "x-360dialog-signature",
        "x-twilio-signature",
        "messagebird-signature",
        "messagebird-request-timestamp",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-sig",
    ];
    let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, signature.as_str())).collect();
    pairs.push(("content-type", text));
    let mut headers = headers(&pairs);
    let channel = channel(account);
    assert!(channel.verify(&post(&headers, body), at(1_790_000_000)).is_err(), "signed by chance");
    headers.push(("messagebird-signature-jwt".to_owned(), signature.clone().into_bytes()));
    assert!(channel.verify(&post(&headers, body), at(1_790_000_000)).is_err(), "signed by chance");
    let url = format!("https://gw.example.test/x?{signature}");
    drop(channel.handshake(&Request { is_get: true, url: &url, headers: &headers, body }));
    drop(channel.parse(&Request { is_get: true, url: &url, headers: &headers, body }));
    let Ok(updates) = channel.parse(&post(&headers, body)) else { return false };
    for update in updates {
        drop(outgoing(account, update, at(1_790_000_000)));
    }
    true
}

fn damaged(body: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..body.len().max(1)).min(body.len());
        match random.random_range(0..5) {
            0 => body.truncate(at),
            1 => body.insert(at, random.random()),
            2 if at < body.len() => body[at] = random.random(),
            3 if at < body.len() => drop(body.remove(at)),
            _ => {
                let end = (at + 40).min(body.len());
                let copy = body[at..end].to_vec();
                body.splice(at..at, copy);
            }
        }
    }
    body
}

/// Another value in the place of one that is somewhere in the document.
fn replaced(value: &mut Value, random: &mut StdRng) {
    let children = match value {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if children > 0 && random.random_range(0..6) > 0 {
        let n = random.random_range(0..children);
        return match value {
            Value::Object(map) => replaced(map.values_mut().nth(n).expect("a child"), random),
            Value::Array(items) => replaced(&mut items[n], random),
            _ => {}
        };
    }
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{ffff}"),
        json!("-9223372036854775808"),
        json!([]),
        json!([[[]]]),
        json!({}),
        json!({ "id": { "id": [] } }),
        json!(["x", 1, null]),
    ];
    *value = others[random.random_range(0..others.len())].clone();
}

#[test]
fn damaged_bytes_end_without_a_panic() {
    let mut random = StdRng::seed_from_u64(15);
    for (account, bodies) in samples() {
        let mut read = 0;
        for body in &bodies {
            assert!(run(&account, body.as_bytes()), "{:?}: the sample itself", account.provider);
            for _ in 0..3_000 {
                read += usize::from(run(&account, &damaged(body.as_bytes(), &mut random)));
            }
        }
        assert!(read > 100, "{:?}: only {read} were read", account.provider);
    }
}

#[test]
fn values_of_other_types_end_without_a_panic() {
    let mut random = StdRng::seed_from_u64(16);
    for (account, bodies) in samples() {
        for body in &bodies {
            let Ok(document) = serde_json::from_str::<Value>(body) else {
                assert_eq!(account.provider, Provider::Twilio);
                continue;
            };
            for _ in 0..3_000 {
                let mut changed = document.clone();
                for _ in 0..random.random_range(1..4) {
                    replaced(&mut changed, &mut random);
                }
                run(&account, changed.to_string().as_bytes());
            }
        }
    }
}

#[test]
fn deep_large_and_endless_bodies_are_refused() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let nested = format!(r#"{{"object":"whatsapp_business_account","entry":{deep}}}"#);
    let many = [meta(&vec![AUDIO; MAX_UPDATES + 1].join(",")), meta(&vec!["{}"; 10 * MAX_UPDATES + 1].join(","))];
    for (account, _) in samples() {
        for body in [deep.as_bytes(), nested.as_bytes(), b"", b"\xff\xfe\x00", b"\"text\"", b"null", b"{", b"{}"] {
            let read = channel(&account).parse(&post(&[], body));
            assert!(read.is_err() || account.provider == Provider::Generic, "{:?}: {read:?}", account.provider);
        }
    }
    let whatsapp = account(Provider::WhatsappCloud, "k");
    for many in many {
        assert!(channel(&whatsapp).parse(&post(&[], many.as_bytes())).is_err());
    }
    let error = channel(&whatsapp).parse(&post(&[], b"{\"secret\": secret}")).expect_err("no JSON").to_string();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_token_without_an_algorithm_of_ours_is_refused() {
    use base64::Engine;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    for algorithm in ["none", "None", "RS256", ""] {
        let head = part(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        let token = format!("{head}.{}.", part(r#"{"iss":"MessageBird","nbf":0,"exp":9999999999}"#));
        let headers = headers(&[("messagebird-signature-jwt", &token)]);
        let verdict = channel(&account(Provider::Messagebird, "k")).verify(&post(&headers, b"{}"), at(1_790_000_000));
        assert!(matches!(verdict, Err(Denied::Unreadable)), "{algorithm}: {verdict:?}");
    }
}
