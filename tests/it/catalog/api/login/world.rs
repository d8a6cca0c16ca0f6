//! A catalogue with a login, its provider, and a browser's part in both.

use serde_json::{Value, json};

use super::super::links::path;
use super::super::{Answer, Desk, KEY};
use crate::support::provider::Provider;

const CLIENT: &str = "mediamill";
const PASSWORD: &str = "0123456789abcdef0123456789-client";
const CALLBACK: &str = "https://media.example.test/x/login/staff/callback";
pub(super) const PAGE: &str = "/m/acme/m/";
/// What a browser says when a person opens an address.
pub(super) const OPENED: [(&str, &str); 4] = [
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
];

/// A catalogue with a login of the tenant acme, and its provider.
pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) provider: Provider,
}

impl World {
    pub(super) async fn open(extra: &[(&str, &str)]) -> Option<Self> {
        let provider = Provider::start(CLIENT, PASSWORD, CALLBACK)?;
        let (issuer, authority) = (provider.issuer(), provider.authority().to_owned());
        let first = [
            ("login.staff.tenants", "acme"),
            ("login.staff.issuer", &*issuer),
            ("login.staff.client_id", CLIENT),
            ("login.staff.client_secret", PASSWORD),
            ("login.staff.hosts", &*authority),
            ("catalog.session_key", KEY),
        ];
        let desk = Box::pin(Desk::open(&[&first[..], extra].concat())).await;
        Some(Self { desk, provider })
    }

    /// Begins a login: where the provider sends the browser back to, and the cookie that it then has.
    pub(super) async fn begin(&self, to: &str) -> (String, String) {
        let begun = self.desk.ask("GET", &format!("/login/staff{to}"), &OPENED).await;
        assert_eq!(begun.status, 302, "{}", begun.head);
        let back = self.provider.visit(begun.header("location").expect("a place"));
        assert!(back.starts_with(CALLBACK), "{back}");
        (path(&back), cookie(&begun, "__Host-mediamill-login"))
    }

    pub(super) async fn end(&self, back: &str, cookie: &str) -> Answer {
        self.desk.ask("GET", back, &[&OPENED[..], &[("cookie", cookie)]].concat()).await
    }

    /// A whole login.
    pub(super) async fn log_in(&self, to: &str) -> Answer {
        let (back, cookie) = self.begin(to).await;
        self.end(&back, &cookie).await
    }

    /// The cookie of somebody who has logged in.
    pub(super) async fn session(&self) -> String {
        let ended = self.log_in("").await;
        assert_eq!(ended.status, 303, "{} {}", ended.head, ended.json());
        cookie(&ended, "__Host-mediamill-session")
    }

    pub(super) async fn with(&self, session: &str, path: &str, more: &[(&str, &str)]) -> Answer {
        self.desk.ask("GET", path, &[&[("cookie", session)], more].concat()).await
    }
}

/// `name=value` of a cookie that an answer sets.
pub(super) fn cookie(answer: &Answer, name: &str) -> String {
    let set = set_cookies(answer).into_iter().find(|set| set.starts_with(&format!("{name}=")));
    set.and_then(|set| set.split(';').next().map(str::to_owned)).unwrap_or_else(|| panic!("no {name}: {}", answer.head))
}

pub(super) fn set_cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value.to_owned()).collect()
}

/// A cookie as the catalogue would seal it, by code that is not its own.
pub(super) fn sealed(purpose: &str, claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, Mac};
    use sha2::Sha256;
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes()
    };
    let key = mac(KEY.as_bytes(), purpose);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    format!("__Host-mediamill-session={signed}.{}", URL_SAFE_NO_PAD.encode(mac(&key, &signed)))
}
