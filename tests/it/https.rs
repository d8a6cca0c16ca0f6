//! The way that originals usually come: over TLS, from a host whose certificate is known.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::cmd::repo_file;
use crate::support::keeper;
use crate::support::processes::wait_until;
use crate::support::rabbit::{calm, free_ports};
use crate::support::rig::{Rig, SOON, event_from, letter};
use crate::support::say::no_service;
use crate::support::worker::Worker;

/// A certificate for this machine that vouches for itself and for nobody else.
const REQUEST: &str = "
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost
basicConstraints = critical, CA:FALSE
";

/// The openssl program as a server for the files of a directory.
pub struct Tls {
    server: Child,
    /// Where it listens, at 127.0.0.1.
    pub port: u16,
}

impl Tls {
    /// Nothing where there is no such program, unless services are demanded.
    pub fn start(dir: &Path) -> Option<Self> {
        std::fs::write(dir.join("request.conf"), REQUEST).expect("a file");
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "request.conf"];
        let mut command = Command::new("openssl");
        let Ok(made) = command.args(request).args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(dir).output()
        else {
            no_service("there is no openssl program");
            return None;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let [port] = free_ports();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-WWW", "-quiet", "-key", "key.pem", "-cert", "cert.pem", "-accept"]);
        command.arg(format!("127.0.0.1:{port}")).current_dir(dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = keeper::spawn(&mut command);
        wait_until("a TLS server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { server, port })
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        keeper::end(&mut self.server);
    }
}

#[test]
fn a_known_certificate_is_trusted_and_no_other() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let files = keeper::new_dir();
    std::fs::copy(repo_file("fixtures/voice-note.ogg"), files.path().join("voice-note.ogg")).expect("a file");
    let Some(tls) = Tls::start(files.path()) else { return };
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", json!([format!("localhost:{}", tls.port)]));
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    rig.declare();
    let worker = |certificates: &Path| {
        let mut command = rig.command(&["worker"]);
        command.env("SSL_CERT_FILE", certificates).env_remove("SSL_CERT_DIR");
        let mut worker = Worker::of(command, rig.dir.path());
        worker.consumes(1);
        worker
    };
    let ask = |media_id: &str| {
        let url = format!("https://localhost:{}/voice-note.ogg", tls.port);
        rig.bus.publish(&letter(&event_from(media_id, json!({ "kind": "http", "url": url }))));
        rig.bus.ledger().wait(media_id, SOON)
    };
    let trusting = worker(&files.path().join("cert.pem"));
    rig.vouch(&ask("known"));
    trusting.stops();
    // Somebody else's certificate.
    let strangers = keeper::new_dir();
    let other = Tls::start(strangers.path()).expect("it has worked before");
    let wary = worker(&strangers.path().join("cert.pem"));
    let outcome = ask("unknown");
    assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "source.unavailable"), "{:#}", outcome.event);
    wary.stops();
    drop(other);
}
