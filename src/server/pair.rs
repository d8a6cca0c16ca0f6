//! A certificate with its chain and its key, as they stand in their files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or is no PEM file.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A file without a certificate.
    #[error("{0}: there is no certificate in it (BEGIN CERTIFICATE)")]
    NoCertificate(PathBuf),
    /// The certificate itself.
    #[error("{0}: the certificate cannot be read: {1}")]
    Certificate(PathBuf, String),
    /// The key is another certificate's.
    #[error("{key}: the key does not belong to the certificate of {certificate}")]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A key that is of no kind that is known.
    #[error("{0}: the key cannot be used: {1}")]
    Key(PathBuf, rustls::Error),
}

/// A certificate that belongs to its key.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// What the first certificate of the chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// Names of hosts and addresses that it is for (RFC 5280, section 4.2.1.6), a wildcard as it stands there.
    pub(super) names: Vec<String>,
}

/// What the certificate and the key are made and checked with.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

impl Pair {
    /// Reads both files. The certificate stands first in its file; those of its issuers follow.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let file = |path: &Path, error: pem::Error| {
            let why = match error {
                pem::Error::Io(error) => error.to_string(),
                pem::Error::NoItemsFound => "there is no key in it (BEGIN PRIVATE KEY)".to_owned(),
                // What these say may hold a part of the file.
                _ => "is no PEM file".to_owned(),
            };
            TlsError::File(path.to_owned(), why)
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| file(certificate, error))?;
        let first = chain.first().ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
        let facts = Facts::of(first).map_err(|why| TlsError::Certificate(certificate.to_owned(), why))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
        let certified = CertifiedKey::from_der(chain, secret, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() }
            }
            rustls::Error::InvalidCertificate(error) => {
                TlsError::Certificate(certificate.to_owned(), error.to_string())
            }
            error => TlsError::Key(key.to_owned(), error),
        })?;
        Ok(Self { certified: Arc::new(certified), facts })
    }
}

impl Facts {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let time = |seconds| Timestamp::from_second(seconds).map_err(|error| error.to_string());
        let names = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = names.into_iter().flat_map(|extension| &extension.value.general_names).filter_map(name).collect();
        let validity = parsed.validity();
        Ok(Self {
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            names,
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
