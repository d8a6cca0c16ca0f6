//! The doors: who may have what, over real connections, with a directory as store.

mod audit;
mod browser;
mod fides;
mod files;
mod fuzz;
mod links;
mod login;
mod office;
mod operations;
mod pages;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use mediamill::config::{self, Config};
use mediamill::roles::catalog::api::{Api, serve};
use mediamill::roles::catalog::index::Index;
use mediamill::store::{PutOptions, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Empty, entry, outcome};

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A catalogue that listens.
pub(crate) struct Desk {
    pub(crate) address: SocketAddr,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) bytes: Vec<u8>,
    shutdown: CancellationToken,
    _dirs: [tempfile::TempDir; 2],
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Desk {
    /// With a few media in a directory as store.
    pub(crate) async fn open(extra: &[(&str, &str)]) -> Self {
        let Empty { index, dir, .. } = Empty::sqlite().await;
        let desk = Self::at(index, dir, extra).await;
        for (n, (tenant, media_id)) in
            [("acme", "m"), ("acme", "gone"), ("acme", "old"), ("globex", "theirs")].iter().enumerate()
        {
            desk.put(tenant, media_id, i64::try_from(n).expect("small")).await;
        }
        desk
    }

    /// The index of another one, with another store.
    pub(crate) async fn over(other: &Self, extra: &[(&str, &str)]) -> Self {
        Self::at(Arc::clone(&other.index), tempfile::tempdir().expect("a directory"), extra).await
    }

    async fn at(index: Arc<dyn Index>, dir: tempfile::TempDir, extra: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let mut flags = vec![
            ("store.url".to_owned(), format!("file://{}", root.path().display())),
            ("catalog.jwt_key".to_owned(), KEY.to_owned()),
            ("catalog.jwt_audience".to_owned(), "mediamill".to_owned()),
            ("links.key".to_owned(), KEY.to_owned()),
            ("links.public_url".to_owned(), "https://media.example.test/x".to_owned()),
            ("access.agent.tenants".to_owned(), "acme".to_owned()),
            ("access.agent.assets".to_owned(), "playback,thumbnail".to_owned()),
            ("access.lead.tenants".to_owned(), "acme,globex".to_owned()),
            ("access.lead.actions".to_owned(), "view,original,revoke".to_owned()),
            ("access.clerk.tenants".to_owned(), "acme".to_owned()),
            ("access.clerk.actions".to_owned(), "audit".to_owned()),
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let own = address.to_string();
        flags.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.replace("OWN-ADDRESS", &own))));
        let config = config::load(None, [], &flags).expect("a configuration");
        let store = Store::connect(&config.store).await.expect("a store");
        let bytes: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
        let lanes = mediamill::roles::lanes::queues(&config.broker);
        let queues = mediamill::broker::Topology::new(&config.broker, lanes).expect("a topology");
        let api = Api::new(&config, Arc::clone(&index), store.clone(), queues).await.expect("an API");
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, api, shutdown.clone()));
        Self { address, index, store, config, bytes, shutdown, _dirs: [dir, root] }
    }

    /// Stores a media with a playback and an original.
    pub(crate) async fn put(&self, tenant: &str, media_id: &str, second: i64) {
        self.put_of(tenant, media_id, second, vec!["c0ffee".to_owned()]).await;
    }

    /// Stores a media of this contact.
    pub(crate) async fn put_of(&self, tenant: &str, media_id: &str, second: i64, contacts: Vec<String>) {
        let sha256 = hex::encode(Sha256::digest(&self.bytes));
        let folder = self.store.folder(tenant, media_id);
        let key = folder.key(&sha256, "audio.mp3");
        let original = folder.key(&sha256, "original.ogg");
        for (key, kind) in [(&key, "audio/mpeg"), (&original, "audio/ogg")] {
            self.store.put_bytes(key, self.bytes.clone().into(), PutOptions::of(kind)).await.expect("stored");
        }
        let file = |role: &str, key: &str, kind: &str| json!({ "role": role, "key": key, "mime_type": kind, "size_bytes": self.bytes.len(), "sha256": sha256, "duration_ms": 21388 });
        let assets = [file("playback", &key, "audio/mpeg"), file("original", &original, "audio/ogg")];
        let mut media = entry(media_id, second);
        media.tenant = tenant.to_owned();
        media.contacts = contacts;
        media.caption = Some("<script>alert(1)</script>".to_owned());
        media.file_name = Some("\"; x=\u{202e}gpj.<b>.ogg".to_owned());
        media.data = json!({ "assets": assets }).to_string();
        self.index.apply(&[outcome(media)]).await.expect("stored");
    }

    /// The answer to a request that is sent as it is.
    pub(crate) async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        drop(stream.write_all(request.as_bytes()).await);
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes).await);
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = bytes.get(end + 4..).unwrap_or_default();
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        Answer { status, body: if chunked { unchunked(body) } else { body.to_vec() }, head }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(&format!("{method} {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\n{lines}\r\n")).await
    }

    /// As somebody with these roles.
    pub(crate) async fn get(&self, roles: &[&str], path: &str) -> Answer {
        let bearer = format!("Bearer {}", token(&json!({ "roles": roles })));
        self.ask("GET", path, &[("authorization", &bearer)]).await
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = rest.windows(2).position(|part| part == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..at]).ok().and_then(|text| usize::from_str_radix(text, 16).ok()).unwrap_or(0);
        if size == 0 || rest.len() < at + 2 + size {
            break;
        }
        whole.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = rest.get(at + 4 + size..).unwrap_or_default();
    }
    whole
}

/// A token that is valid, with these claims besides.
pub(crate) fn token(claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, Mac};
    let now = jiff::Timestamp::now().as_second();
    let mut all = json!({ "aud": "mediamill", "exp": now + 600, "sub": "maria" });
    for (key, value) in claims.as_object().expect("claims") {
        all[key] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&all));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
