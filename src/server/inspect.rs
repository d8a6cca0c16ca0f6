//! What `doctor` says of a certificate: whether clients would accept it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, CertificateError, RootCertStore};

use super::Files;
use super::pair::{Pair, provider};
use super::tls::WARN_BEFORE_S;

/// What was found of a certificate, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Clients that trust what this machine trusts accept it.
    Good(String),
    /// The server starts, but clients may refuse it, now or soon.
    Doubtful(String, &'static str),
    /// The server does not start, or no client accepts the certificate.
    Bad(String, &'static str),
}

/// Reads the files, and judges the certificate as a client of `host` does: with the root certificates of this machine
/// (`SSL_CERT_FILE` and `SSL_CERT_DIR`, where they are set). Where no host is known, the certificate's own first name is taken.
#[must_use]
pub fn inspect(files: &Files, host: Option<&str>, now: Timestamp) -> Finding {
    let pair = match files.read() {
        Ok(pair) => pair,
        Err(error) => {
            return Finding::Bad(error.to_string(), "give the certificate (its chain behind it) and its key as PEM");
        }
    };
    let facts = &pair.facts;
    let (names, until) = (facts.names.join(", "), facts.not_after);
    if now > facts.not_after {
        return Finding::Bad(format!("the certificate has expired: {until}"), "renew it");
    }
    if now < facts.not_before {
        return Finding::Bad(format!("the certificate is not valid before {}", facts.not_before), "see the clock");
    }
    let Some(first) = facts.names.first() else {
        return Finding::Bad("the certificate names no host".to_owned(), "clients want a subject alternative name");
    };
    let host = host.map_or_else(|| first.replace('*', "host"), str::to_owned);
    let number = pair.certified.cert.len();
    match verified(&pair, &host, now) {
        Ok(()) if facts.not_after.as_second() - now.as_second() < WARN_BEFORE_S => {
            Finding::Doubtful(format!("the certificate expires soon: {until}"), "renew it")
        }
        Ok(()) => Finding::Good(format!("a certificate for {names} until {until}, {number} in its file, trusted here")),
        Err(Refused::Name) => Finding::Doubtful(
            format!("the certificate is for {names}, and not for {host}, which the public URL names"),
            "get one for that host",
        ),
        Err(Refused::Issuer) => Finding::Doubtful(
            format!(
                "no chain leads from the certificate for {names} to a root that this machine trusts ({number} in its file)"
            ),
            "put the issuers' certificates behind it (fullchain.pem); providers refuse it where its root is your own",
        ),
        Err(Refused::Other(why)) => {
            Finding::Doubtful(format!("clients refuse the certificate for {names}: {why}"), "get another")
        }
    }
}

enum Refused {
    Name,
    Issuer,
    Other(String),
}

fn verified(pair: &Pair, host: &str, now: Timestamp) -> Result<(), Refused> {
    let other = |error: &dyn std::fmt::Display| Refused::Other(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Refused::Other("this machine has no root certificates to judge it by".to_owned()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|error| other(&error))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| other(&error))?;
    let [first, chain @ ..] = &pair.certified.cert[..] else { return Err(other(&"there is none")) };
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let chain: Vec<CertificateDer<'_>> = chain.to_vec();
    verifier.verify_server_cert(first, &chain, &name, &[], now).map(drop).map_err(|error| match error {
        // The other: an issuer of the same name has another key.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            Refused::Issuer
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Refused::Name,
        error => other(&error),
    })
}
