//! Certificates: judged by a client that is not ours, renewed while the gateway runs, and looked at by `doctor`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mediamill::channels::{Account, Keys, Provider};
use mediamill::roles::gateway::Options;
use mediamill::runtime::Metrics;
use mediamill::server::{Files, Finding, Listener, Tls, inspect};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Rig, Shelf, options, status};
use crate::channels::account;
use crate::support::authority::{Authority, Issued};
use crate::support::cmd::{Dir, Run, repo_file};
use crate::support::processes;
use crate::support::rabbit::free_ports;
use crate::support::scrape::Scrape;
use crate::support::worker::Worker;

const LOCAL: &str = "DNS:localhost";
const HANDSHAKE: &str = "/v1/channels/support?hub.mode=subscribe&hub.verify_token=sesame&hub.challenge=31";

/// What the client of `tests/judges/tls.py` is told.
fn asks(root: &Path, version: &str, port: u16, path: &str) -> Value {
    let mut client = Command::new("/usr/bin/python3");
    client.arg(repo_file("tests/judges/tls.py")).arg(root).args([version, "localhost", &port.to_string(), path]);
    let run = Run::of(&mut client).exits(0);
    serde_json::from_str(&run.stdout).expect("a line of JSON")
}

/// The fingerprint of the certificate that is shown.
fn shown(authority: &Authority, port: u16) -> String {
    let answer = asks(&authority.root(), "TLSv1_3", port, HANDSHAKE);
    answer["certificate"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn secured(options: Options, issued: &Issued) -> Rig {
    let files = Files::configured(&issued.chain, &issued.key).expect("files");
    let tls = Tls::open(files).expect("a certificate");
    let listener = Listener::bind("127.0.0.1:0", Some(tls)).await.expect("a port");
    let verify_tokens = Keys::of_texts(["sesame"]);
    let account = Account { verify_tokens, ..account(Provider::WhatsappCloud, "key") };
    Rig::on(listener, options, vec![account], Shelf::open())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_versions_trust_the_chain_and_nobody_is_answered_in_the_clear() {
    let Some(authority) = Authority::new() else { return };
    let strangers = Authority::new().expect("it has worked before");
    let issued = authority.issue("gateway", LOCAL);
    let rig = secured(options(), &issued).await;
    let port = rig.address.port();
    let (root, stranger) = (authority.root(), strangers.root());
    let answers = tokio::task::spawn_blocking(move || {
        let trusted = ["TLSv1_2", "TLSv1_3"].map(|version| asks(&root, version, port, HANDSHAKE));
        (trusted, asks(&stranger, "TLSv1_3", port, HANDSHAKE))
    });
    let (trusted, stranger) = answers.await.expect("no panic");
    for (answer, version) in trusted.iter().zip(["TLSv1.2", "TLSv1.3"]) {
        assert_eq!((answer["version"].as_str(), answer["protocol"].as_str()), (Some(version), Some("http/1.1")));
        assert_eq!((answer["status"].as_u64(), answer["body"].as_str()), (Some(200), Some("31")), "{answer}");
    }
    assert!(stranger["refused"].is_string(), "{stranger}");
    let clear = rig.raw(b"GET /v1/channels/support HTTP/1.1\r\nhost: gw\r\n\r\n").await;
    assert_eq!(status(&clear), 0, "{clear:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_come_ends_and_gives_its_place_back() {
    let Some(authority) = Authority::new() else { return };
    let issued = authority.issue("gateway", LOCAL);
    let limits = Options { connections: 1, head_timeout: Duration::from_secs(1), ..options() };
    let rig = secured(limits, &issued).await;
    let mut silent = rig.connect().await;
    // The first bytes of a ClientHello, and no more of it.
    silent.write_all(&[22, 3, 1, 2, 0, 1]).await.expect("sent");
    let (began, port, root) = (Instant::now(), rig.address.port(), authority.root());
    let waited = tokio::task::spawn_blocking(move || asks(&root, "TLSv1_3", port, HANDSHAKE));
    let answer = waited.await.expect("no panic");
    assert_eq!(answer["status"], 200, "{answer}");
    assert!(began.elapsed() > Duration::from_millis(700), "two connections had a place: {:?}", began.elapsed());
    let ended = tokio::time::timeout(Duration::from_secs(2), silent.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

/// Starts a role with the certificate of `issued`, which is copied to `chain.pem` and `key.pem` of the directory.
fn role(dir: &Dir, name: &str, port: u16, issued: &Issued) -> Worker {
    replace(&issued.chain, &dir.path().join("chain.pem"));
    replace(&issued.key, &dir.path().join("key.pem"));
    let section = name.to_uppercase();
    let mut command = dir.command();
    command.arg(name).env("MEDIAMILL_BROKER_URL", "amqp://127.0.0.1:1/%2f");
    command.env("MEDIAMILL_HTTP_LISTEN", "127.0.0.1:0");
    command.env(format!("MEDIAMILL_{section}_LISTEN"), format!("127.0.0.1:{port}"));
    for (key, file) in [("CERTIFICATE", "chain.pem"), ("KEY", "key.pem")] {
        command.env(format!("MEDIAMILL_{section}_TLS_{key}"), dir.path().join(file));
    }
    let account = "[channels.support]\nprovider = \"whatsapp-cloud\"\ntenant = \"acme\"\n\
                   app_secret = \"s\"\nverify_token = \"sesame\"\ntoken = \"t\"\n";
    command.arg("--config").arg(dir.write("mediamill.toml", account));
    command.env("MEDIAMILL_CATALOG_URL", format!("sqlite://{}/index.db", dir.path().display()));
    command.env("MEDIAMILL_STORE_URL", format!("file://{}", dir.path().display()));
    let worker = Worker::of(command, dir.path());
    processes::wait_until("a port", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    worker
}

/// The metric of a certificate's end.
const NOT_AFTER: &str = "mediamill_tls_certificate_not_after_timestamp_seconds";

/// When a certificate ends, as the openssl program reads it.
fn not_after(issued: &Issued) -> i64 {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"]).arg(&issued.alone);
    let said = Run::of(&mut command).exits(0).stdout;
    let time = said.trim().strip_prefix("notAfter=").expect("a time").replace(' ', "T");
    time.parse::<jiff::Timestamp>().expect("RFC 3339").as_second()
}

/// Whether the metrics of a role tell of this certificate.
#[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
fn tells_of(role: &Worker, listener: &str, issued: &Issued) -> bool {
    Scrape::of(role).value(NOT_AFTER, &[("listener", listener)]) == not_after(issued) as f64
}

/// As certificates are renewed: a new file takes the old one's name.
fn replace(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    std::fs::copy(from, &new).expect("a copy");
    std::fs::rename(&new, to).expect("a file");
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup_and_after_a_look_at_the_files() {
    let Some(authority) = Authority::new() else { return };
    // Each of another length, so that each has another end.
    let (first, second, third) = (
        authority.issue_for(30, "first", LOCAL),
        authority.issue_for(60, "second", LOCAL),
        authority.issue_for(90, "third", LOCAL),
    );
    let (dir, [port]) = (Dir::new(), free_ports());
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    let gateway = role(&dir, "gateway", port, &first);
    let one = shown(&authority, port);
    assert!(tells_of(&gateway, "gateway", &first));
    replace(&second.chain, &chain);
    replace(&second.key, &key);
    processes::signal(gateway.pid(), Signal::HUP);
    processes::wait_until("the second certificate", || shown(&authority, port) != one);
    let two = shown(&authority, port);
    assert!(tells_of(&gateway, "gateway", &second));
    // Its key is still the second's: the second goes on to be shown, until the key is there too. Nobody sends a signal.
    replace(&third.chain, &chain);
    let kept = "a certificate was not read again: connections are shown the one from before";
    processes::wait_until("a look at the files", || gateway.logged(kept) == 1);
    assert_eq!(shown(&authority, port), two);
    assert!(tells_of(&gateway, "gateway", &second), "of the one that is shown, not of the one in the file");
    replace(&third.key, &key);
    processes::wait_until("the third certificate", || shown(&authority, port) != two);
    assert!(tells_of(&gateway, "gateway", &third));
    gateway.stops();
}

#[test]
fn the_catalogue_shows_its_certificate_too() {
    let Some(authority) = Authority::new() else { return };
    let (dir, [port]) = (Dir::new(), free_ports());
    let issued = authority.issue("catalog", LOCAL);
    let catalog = role(&dir, "catalog", port, &issued);
    assert!(tells_of(&catalog, "catalog", &issued));
    let answer = asks(&authority.root(), "TLSv1_3", port, "/openapi.json");
    assert_eq!((answer["status"].as_u64(), answer["protocol"].as_str()), (Some(200), Some("http/1.1")), "{answer}");
    assert_eq!(asks(&authority.root(), "TLSv1_2", port, "/v1/media")["status"], 401);
    catalog.stops();
}

#[tokio::test]
async fn without_a_certificate_there_is_no_time_at_which_it_expires() {
    let Some(authority) = Authority::new() else { return };
    let issued = authority.issue("gateway", LOCAL);
    let metrics = Metrics::default();
    let told = metrics.clone();
    let plain = Listener::bind("127.0.0.1:0", None).await.expect("a port");
    let plain = plain.telling(move |at| told.certificate("gateway", at));
    assert_eq!(plain.scheme(), "http");
    let name = format!("{NOT_AFTER}{{");
    assert!(!metrics.encode().contains(&name), "it would be one that has expired");
    let files = Files::configured(&issued.chain, &issued.key).expect("files");
    let tls = Some(Tls::open(files).expect("a certificate"));
    let told = metrics.clone();
    let secured = Listener::bind("127.0.0.1:0", tls).await.expect("a port");
    let secured = secured.telling(move |at| told.certificate("catalog", at));
    assert_eq!(secured.scheme(), "https");
    assert!(metrics.encode().contains(&format!("{name}listener=\"catalog\"}} {}\n", not_after(&issued))));
}

/// State and text of doctor's line about the gateway's certificate, where this root is trusted.
fn doctor(chain: &Path, key: &Path, root: &Path, host: &str) -> (String, String) {
    let dir = Dir::new();
    let mut command = dir.command();
    command.args(["doctor", "--format", "json"]).env("SSL_CERT_FILE", root).env_remove("SSL_CERT_DIR");
    command.env("MEDIAMILL_BROKER_URL", "amqp://127.0.0.1:1/%2f");
    command
        .env("MEDIAMILL_GATEWAY_LISTEN", "127.0.0.1:0")
        .env("MEDIAMILL_GATEWAY_PUBLIC_URL", format!("https://{host}"));
    command.env("MEDIAMILL_GATEWAY_TLS_CERTIFICATE", chain).env("MEDIAMILL_GATEWAY_TLS_KEY", key);
    command.env("MEDIAMILL_STORE_URL", format!("file://{}", dir.path().display()));
    let lines = Run::of(&mut command).exits(1).json_lines();
    let line = lines.iter().find(|line| line["what"] == "tls").unwrap_or_else(|| panic!("{lines:?}"));
    let text = |key: &str| line[key].as_str().expect("text").to_owned();
    (text("state"), text("found"))
}

#[test]
fn doctor_tells_what_clients_would_make_of_the_certificate() {
    let Some(authority) = Authority::new() else { return };
    let strangers = Authority::new().expect("it has worked before");
    let issued = authority.issue("gateway", "DNS:gw.example.test");
    let other = authority.issue("other", "DNS:gw.example.test");
    let (root, stranger) = (authority.root(), strangers.root());
    let host = "gw.example.test";
    let expect = |found: (String, String), state: &str, text: &str| {
        assert_eq!(found.0, state, "{found:?}");
        assert!(found.1.contains(text), "{found:?}");
    };
    expect(doctor(&issued.chain, &issued.key, &root, host), "ok", "a certificate for gw.example.test until 20");
    expect(doctor(&issued.chain, &other.key, &root, host), "bad", "the key does not belong to the certificate");
    expect(doctor(&issued.chain, &issued.chain, &root, host), "bad", "there is no key in it");
    expect(doctor(&issued.key, &issued.key, &root, host), "bad", "there is no certificate in it");
    expect(doctor(&root.with_file_name("none"), &issued.key, &root, host), "bad", "No such file");
    expect(doctor(&issued.alone, &issued.key, &root, host), "lacking", "no chain leads from the certificate");
    expect(doctor(&issued.chain, &issued.key, &stranger, host), "lacking", "no chain leads from the certificate");
    expect(doctor(&issued.chain, &issued.key, &root, "b.example.test"), "lacking", "and not for b.example.test");
}

#[test]
fn doctor_tells_that_a_certificate_has_ended_or_not_begun() {
    let Some(authority) = Authority::new() else { return };
    let issued = authority.issue("gateway", LOCAL);
    let files = Files::configured(&issued.chain, &issued.key).expect("files");
    let day = jiff::SignedDuration::from_hours(24);
    let now = jiff::Timestamp::now();
    let found = |days: i32| inspect(&files, Some("localhost"), now + day * days);
    assert!(matches!(found(731), Finding::Bad(text, _) if text.contains("has expired")));
    assert!(matches!(found(-2), Finding::Bad(text, _) if text.contains("is not valid before")));
    // Whether the machine trusts some roots or none, not this one.
    assert!(matches!(found(0), Finding::Doubtful(..)));
}

#[test]
fn a_gateway_does_not_start_with_files_that_are_no_pair() {
    let Some(authority) = Authority::new() else { return };
    let (one, other) = (authority.issue("one", LOCAL), authority.issue("other", LOCAL));
    let dir = Dir::new();
    dir.write("mediamill.toml", "[channels.a]\nprovider = \"whatsapp-cloud\"\ntenant = \"a\"\napp_secret = \"s\"\n");
    let mut command = dir.command();
    command.args(["gateway", "--config", "mediamill.toml", "--set", "gateway.listen=127.0.0.1:0"]);
    command.env("MEDIAMILL_GATEWAY_TLS_CERTIFICATE", &one.chain).env("MEDIAMILL_GATEWAY_TLS_KEY", &other.key);
    let run = Run::of(&mut command).exits(2);
    assert!(
        run.stderr.contains("gateway.tls_certificate: ") && run.stderr.contains("does not belong"),
        "{}",
        run.stderr
    );
}
