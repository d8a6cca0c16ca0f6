//! A certificate authority of the tests' own, made by the openssl program: a root, and an issuer below it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::keeper;
use super::say::no_service;

const CONFIG: &str = "
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[host]
basicConstraints = critical, CA:FALSE
subjectAltName = ${ENV::NAMES}
";

/// Two years.
const DAYS: u32 = 730;

/// An authority; its files are gone when it is dropped.
pub struct Authority(tempfile::TempDir);

/// A certificate for a host, with its issuer's behind it, and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    pub chain: PathBuf,
    pub key: PathBuf,
    /// The certificate alone.
    pub alone: PathBuf,
}

impl Authority {
    /// Nothing where there is no openssl program, unless services are demanded.
    pub fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            no_service("there is no openssl program");
            return None;
        }
        let authority = Self(keeper::new_dir());
        std::fs::write(authority.path("ca.conf"), CONFIG).expect("a file");
        authority.make("root", "root", "", None, DAYS);
        authority.make("issuer", "root", "", Some("root"), DAYS);
        Some(authority)
    }

    /// The root that clients trust.
    pub fn root(&self) -> PathBuf {
        self.path("root.pem")
    }

    /// A new certificate and key, for names such as `DNS:localhost,IP:127.0.0.1`.
    pub fn issue(&self, name: &str, names: &str) -> Issued {
        self.issue_for(DAYS, name, names)
    }

    /// As [`Authority::issue`], for so many days.
    pub fn issue_for(&self, days: u32, name: &str, names: &str) -> Issued {
        self.make(name, "host", names, Some("issuer"), days);
        let alone = self.path(&format!("{name}.pem"));
        let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
        let chain = self.path(&format!("{name}.chain.pem"));
        std::fs::write(&chain, read(&alone) + &read(&self.path("issuer.pem"))).expect("a file");
        Issued { chain, key: self.path(&format!("{name}.key")), alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn make(&self, name: &str, extensions: &str, names: &str, issuer: Option<&str>, days: u32) {
        let days = days.to_string();
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            &days,
        ]);
        command.args(["-config", "ca.conf", "-extensions", extensions, "-subj", &format!("/CN={name}")]);
        command.args(["-out", &certificate, "-keyout", &key]).env("NAMES", names).current_dir(self.0.path());
        if let Some(issuer) = issuer {
            command.args(["-CA", &format!("{issuer}.pem"), "-CAkey", &format!("{issuer}.key")]);
        }
        let made = command.output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
