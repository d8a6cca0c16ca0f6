//! What providers send: signatures from their own SDKs, webhooks as their documentation shows them, and damaged ones.

mod forged;
mod judges;
mod read;
pub(crate) mod samples;
mod vectors;
mod whatsapp;

use mediamill::channels::{Account, Channel, Denied, Keys, Provider, Request, Update, open};

/// An account of this provider, with one key.
pub(crate) fn account(provider: Provider, key: &str) -> Account {
    Account {
        name: "support".to_owned(),
        provider,
        tenant: "acme".to_owned(),
        profile: None,
        signing_keys: Keys::of_texts([key]),
        verify_tokens: Keys::default(),
        token_header: None,
        numbers: Vec::new(),
        echoes: false,
        history: false,
        is_passed_on: false,
        lifetime: std::time::Duration::from_secs(7 * 24 * 3600),
        generic: None,
    }
}

pub(crate) fn channel(account: &Account) -> Box<dyn Channel> {
    open(account).expect("an account that can work")
}

/// Headers as a request has them.
pub(crate) fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// A POST to the account's URL.
pub(crate) fn post<'a>(headers: &'a [(String, Vec<u8>)], body: &'a [u8]) -> Request<'a> {
    Request { is_get: false, url: "https://gw.example.test/v1/channels/support", headers, body }
}

/// What a JSON body tells of.
#[track_caller]
pub(crate) fn parsed(account: &Account, body: &str) -> Vec<Update> {
    channel(account).parse(&post(&[], body.as_bytes())).expect("a webhook")
}

pub(crate) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).expect("a time")
}

pub(crate) type Verdict = Result<(), Denied>;
