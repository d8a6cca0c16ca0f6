//! Answers of the real service, recorded in 2019 (`tests/azure/answers.json`), and what our client takes them for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mediamill::store::{PutOptions, Store, StoreError};
use serde_json::Value;

use crate::support::azure::store_config_at;
use crate::support::cmd::repo_file;
use crate::support::http::{Http, Step};

const OPTIONS: PutOptions<'_> = PutOptions::of("audio/ogg");

struct Recorded(Value);

impl Recorded {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    fn status(&self) -> u64 {
        self.0["status"].as_u64().expect("a status")
    }

    fn body(&self) -> Vec<u8> {
        match self.0["base64"].as_str() {
            Some(text) => STANDARD.decode(text).expect("base64"),
            None => self.text("body").as_bytes().to_vec(),
        }
    }

    fn code(&self) -> &str {
        self.header("x-ms-error-code")
    }

    /// As it was on the wire.
    fn bytes(&self) -> Vec<u8> {
        let headers = self.0["headers"].as_object().expect("headers");
        let is_head = self.text("method") == "HEAD";
        let mut head = format!("HTTP/1.1 {} {}\r\nconnection: close\r\n", self.status(), self.text("reason"));
        for (name, value) in headers.iter().filter(|(name, _)| is_head || *name != "content-length") {
            head += &format!("{name}: {}\r\n", value.as_str().expect("text"));
        }
        let body = if is_head { Vec::new() } else { self.body() };
        if !is_head {
            head += &format!("content-length: {}\r\n", body.len());
        }
        [head.into_bytes(), b"\r\n".to_vec(), body].concat()
    }

    /// First byte of the part that the answer has, and of what comes after it.
    fn part(&self) -> (u64, u64) {
        let range = self.header("content-range").strip_prefix("bytes ").expect("a range");
        let (first, last) = range.split_once('/').expect("a size").0.split_once('-').expect("two ends");
        (first.parse().expect("a number"), last.parse::<u64>().expect("a number") + 1)
    }
}

/// What became of a call, in words that can be compared.
fn word<T>(result: Result<T, StoreError>, fine: impl Fn(T) -> String) -> String {
    match result {
        Ok(value) => fine(value),
        Err(err) => match err {
            StoreError::Missing { .. } => "no bucket",
            StoreError::NotFound { .. } => "no object",
            StoreError::Forbidden { .. } => "forbidden",
            StoreError::Checksum { .. } => "checksum",
            StoreError::Range => "range",
            StoreError::Unavailable { .. } => "unavailable",
            StoreError::Config(_) => "config",
            _ => "another error",
        }
        .to_owned(),
    }
}

async fn outcome(recorded: &Recorded, store: &Store) -> String {
    match (recorded.text("method"), recorded.text("comp")) {
        ("GET", "") if recorded.status() == 206 => {
            let (first, end) = recorded.part();
            let got = store.get_range("k", first..end).await;
            word(got, |got| if got.is_some_and(|got| got == recorded.body()) { "these bytes" } else { "others" }.into())
        }
        ("GET", "") if recorded.status() == 416 => word(store.get_range("k", 0..5).await, |_| "fine".into()),
        ("GET", "list") => word(store.list("", None, 1000).await, |page| {
            page.objects.iter().map(|object| format!("{}={} ", object.key, object.size_bytes)).collect()
        }),
        ("GET", _) => word(store.get("k").await, |got| match got {
            Some(got) if got == recorded.body() => "these bytes".into(),
            Some(_) => "others".into(),
            None => "none".into(),
        }),
        ("HEAD", _) => {
            word(store.head("k").await, |head| head.map_or("none".into(), |head| head.size_bytes.to_string()))
        }
        ("DELETE", _) => word(store.delete("k").await, |()| "fine".into()),
        ("PUT", "") if recorded.status() == 412 => {
            let (_, version) = read_version().await;
            let put = store.replace("k", "x".into(), OPTIONS, &version).await;
            word(put, |stored| if stored { "stored" } else { "not met" }.into())
        }
        _ => word(store.put_bytes("k", "x".into(), OPTIONS).await, |_| "stored".into()),
    }
}

/// A version as the store gives it, from an answer of the same form.
async fn read_version() -> (bytes::Bytes, mediamill::store::Version) {
    let answer = b"HTTP/1.1 200 OK\r\netag: \"0x8D6\"\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
    let http = Http::start(|_| vec![Step::Send(answer.to_vec())]);
    let store = Store::connect(&store_config_at(&http.url(""))).await.expect("a store");
    store.get_versioned("k").await.expect("an answer").expect("an object")
}

/// What the answer has to be taken for.
fn expected(recorded: &Recorded) -> String {
    let is_upload = recorded.text("method") == "PUT";
    match (recorded.status(), recorded.code()) {
        (_, "ContainerNotFound") => "no bucket".into(),
        (404, "BlobNotFound") if recorded.text("method") == "DELETE" => "fine".into(),
        (404, _) => "none".into(),
        (412, "ConditionNotMet") if is_upload && recorded.text("comp").is_empty() => "not met".into(),
        (412, "LeaseIdMissing") => "forbidden".into(),
        (412 | 409, code) if code != "BlobUsesCustomerSpecifiedEncryption" => "unavailable".into(),
        (400, "Md5Mismatch") => "checksum".into(),
        (400 | 409, _) => "config".into(),
        (416, _) => "range".into(),
        (201, _) if recorded.header("content-md5").is_empty() => "checksum".into(),
        // Of other bytes than ours.
        (201, _) => "checksum".into(),
        (202, _) if is_upload => "checksum".into(),
        (202, _) => "fine".into(),
        (200 | 206, _) if recorded.text("method") == "HEAD" => recorded.header("content-length").to_owned(),
        (200, _) if is_upload => "checksum".into(),
        (200, _) if recorded.text("comp") == "list" => names(recorded),
        _ => "these bytes".into(),
    }
}

/// Names and sizes, read by other means than our client's.
fn names(recorded: &Recorded) -> String {
    let body = String::from_utf8(recorded.body()).expect("text");
    let inner = |text: &str, name: &str| {
        let after = text.split_once(&format!("<{name}>")).map(|(_, after)| after)?;
        Some(after.split_once(&format!("</{name}>"))?.0.replace("&amp;", "&"))
    };
    let blobs = body.split("<Blob>").skip(1);
    blobs
        .map(|blob| {
            let size = inner(blob, "Content-Length").unwrap_or_else(|| "0".to_owned());
            format!("{}={size} ", inner(blob, "Name").expect("a name"))
        })
        .collect()
}

#[tokio::test]
async fn recorded_answers_of_the_real_service_are_understood() {
    let text = std::fs::read_to_string(repo_file("tests/azure/answers.json")).expect("recordings");
    let recordings: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(recordings.len() > 60, "only {} answers", recordings.len());
    let mut codes = std::collections::BTreeSet::new();
    for recorded in recordings.into_iter().map(Recorded) {
        let bytes = recorded.bytes();
        let http = Http::start(move |_| vec![Step::Send(bytes.clone())]);
        let mut config = store_config_at(&http.url(""));
        config.max_attempts = 1;
        let store = Store::connect(&config).await.expect("a store");
        let named =
            format!("{} {}: {} {}", recorded.text("scenario"), recorded.0["nth"], recorded.status(), recorded.code());
        assert_eq!(outcome(&recorded, &store).await, expected(&recorded), "{named}");
        codes.insert((recorded.status(), recorded.code().to_owned()));
    }
    assert!(codes.len() > 12, "{codes:?}");
}
