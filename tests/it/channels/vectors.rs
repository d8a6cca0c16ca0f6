//! Signatures of the providers' own SDKs, and of their published algorithms: 41 of them, each with its source in
//! `tests/channels/vectors.json`.

use mediamill::channels::{Account, Denied, Provider, Request, open};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::{Verdict, account, at, headers};
use crate::support::cmd::repo_file;

fn vectors() -> Vec<Value> {
    let text = std::fs::read(repo_file("tests/channels/vectors.json")).expect("the vectors");
    serde_json::from_slice(&text).expect("an array")
}

/// The parameters that most of Twilio's vectors share.
const TWILIO: [(&str, &str); 5] = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
];

fn form(params: &Value) -> String {
    let mut form = Serializer::new(String::new());
    match params {
        Value::Array(pairs) => {
            for pair in pairs {
                form.append_pair(pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value"));
            }
        }
        _ => drop(form.extend_pairs(TWILIO)),
    }
    form.finish()
}

/// A vector as a request to an account of the provider that has this scheme, and when it arrives.
struct Case {
    account: Account,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: String,
    now: i64,
}

fn case(vector: &Value) -> Case {
    let text = |name: &str| vector[name].as_str().unwrap_or_default();
    let of = |provider| account(provider, text("key"));
    let body = text("body").to_owned();
    let url = if text("url").is_empty() { "https://gw.example.test/hooks" } else { text("url") }.to_owned();
    let now = text("ts").parse().unwrap_or(1_700_000_000);
    let base = |account, pairs: &[(&str, &str)]| Case { account, url, headers: headers(pairs), body, now };
    match text("scheme") {
        scheme @ ("twilio-sha1" | "twilio-sha256") => {
            let is_json = vector.get("body").is_some();
            let content_type =
                if is_json { "application/json" } else { "application/x-www-form-urlencoded; charset=UTF-8" };
            let mut case =
                base(of(Provider::Twilio), &[("x-twilio-signature", text("sig")), ("content-type", content_type)]);
            if scheme == "twilio-sha256" {
                let settings = [("x-twilio-webhooks-signature-settings", "key=WK1,algorithm=HMAC_SHA256")];
                case.headers.extend(headers(&settings));
            }
            if !is_json {
                case.body = form(&vector["params"]);
            }
            case
        }
        "meta-sha256" if text("id").starts_with("360") => {
            base(of(Provider::Dialog360), &[("x-360dialog-signature", text("sig"))])
        }
        "meta-sha256" => {
            base(of(Provider::WhatsappCloud), &[("x-hub-signature-256", &format!("sha256={}", text("sig")))])
        }
        "messagebird-legacy" => {
            let pairs = [("messagebird-signature", text("sig")), ("messagebird-request-timestamp", text("ts"))];
            let case = base(of(Provider::Messagebird), &pairs);
            Case { url: format!("https://gw.example.test/hooks?{}", text("query")), ..case }
        }
        "messagebird-jwt" => {
            let case = base(of(Provider::Messagebird), &[("messagebird-signature-jwt", text("token"))]);
            Case { now: vector["now"].as_i64().expect("a time"), ..case }
        }
        "bird-channels" => {
            let pairs = [("messagebird-signature", text("sig")), ("messagebird-request-timestamp", text("ts"))];
            base(of(Provider::BirdChannels), &pairs)
        }
        "standard-webhooks" => {
            let pairs =
                [("webhook-id", text("msg_id")), ("webhook-timestamp", text("ts")), ("webhook-signature", text("sig"))];
            base(of(Provider::Bird), &pairs)
        }
        other => panic!("{other} is no scheme"),
    }
}

fn verdict(case: &Case) -> Verdict {
    let Case { account, url, headers, body, now } = case;
    // An account with nothing to verify with may be refused before there is a request.
    let channel = open(account).map_err(|_| Denied::Unconfigured)?;
    channel.verify(&Request { is_get: false, url, headers, body: body.as_bytes() }, at(*now))
}

#[test]
fn the_signatures_of_the_providers_are_told_from_wrong_ones() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 41);
    for vector in &vectors {
        let verdict = verdict(&case(vector));
        assert_eq!(verdict.is_ok(), vector["ok"] == true, "{}: {verdict:?}", vector["id"]);
    }
}

#[test]
fn what_was_signed_is_refused_when_anything_of_it_is_another() {
    for vector in vectors().iter().filter(|vector| vector["ok"] == true) {
        let name = &vector["id"];
        let changed = |change: &dyn Fn(&mut Case)| {
            let mut case = case(vector);
            change(&mut case);
            verdict(&case)
        };
        let key = |key: &'static str| move |case: &mut Case| case.account = account(case.account.provider, key);
        assert_eq!(changed(&key("whsec_YW5vdGhlcg==")), Err(Denied::Wrong), "{name}: another key");
        assert_eq!(changed(&key("")), Err(Denied::Unconfigured), "{name}: no key");
        let one_more = changed(&|case| case.body.push('x'));
        assert!(one_more.is_err(), "{name}: one byte more");
        assert!(changed(&|case| case.headers.clear()).is_err(), "{name}: no header");
        let twice = changed(&|case| case.headers.extend(case.headers.clone()));
        assert!(twice.is_err(), "{name}: each header twice");
        let halved = changed(&|case| {
            for (_, value) in &mut case.headers {
                value.truncate(value.len() / 2);
            }
        });
        assert!(halved.is_err(), "{name}: half a signature");
        let emptied = changed(&|case| case.headers.iter_mut().for_each(|(_, value)| value.clear()));
        assert!(emptied.is_err(), "{name}: an empty signature");
    }
}

#[test]
fn a_url_is_part_of_the_signature_where_the_scheme_has_it() {
    let with_url = ["twilio-sha1", "twilio-sha256", "messagebird-jwt", "bird-channels"];
    let mut seen = 0;
    for vector in vectors().iter().filter(|vector| vector["ok"] == true) {
        if with_url.iter().any(|scheme| vector["scheme"] == *scheme) {
            let mut case = case(vector);
            case.url = case.url.replacen("//", "//not-", 1);
            assert_eq!(verdict(&case), Err(Denied::Wrong), "{}", vector["id"]);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_signature_with_a_time_is_refused_outside_of_it() {
    for (id, past_s, future_s) in
        [("mb-1", 300, 300), ("jwt-1", 60 + 5, 5), ("bird-ch", 24 * 3600, 300), ("bird-std", 300, 300)]
    {
        let vectors = vectors();
        let vector = vectors.iter().find(|vector| vector["id"] == id).expect(id);
        let after = |seconds: i64| {
            let mut case = case(vector);
            case.now += seconds;
            verdict(&case)
        };
        for seconds in [past_s, -future_s] {
            assert_eq!(after(seconds), Ok(()), "{id} after {seconds} s");
        }
        for seconds in [past_s + 1, -future_s - 1] {
            assert_eq!(after(seconds), Err(Denied::Stale), "{id} after {seconds} s");
        }
    }
}

#[test]
fn a_retry_of_birds_with_the_time_of_the_first_delivery_is_accepted_hours_later() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector["id"] == "bird-ch").expect("bird-ch");
    let mut case = case(vector);
    case.now += 3 * 3600;
    assert_eq!(verdict(&case), Ok(()));
}

#[test]
fn an_algorithm_that_is_not_known_is_refused() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector["id"] == "tw-sha256-beta").expect("tw-sha256-beta");
    let mut case = case(vector);
    case.headers.retain(|(name, _)| name != "x-twilio-webhooks-signature-settings");
    case.headers.extend(headers(&[("x-twilio-webhooks-signature-settings", "key=WK1,algorithm=NONE")]));
    assert_eq!(verdict(&case), Err(Denied::Unreadable));
}
