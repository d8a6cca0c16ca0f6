//! The port of a role, with the certificate that it shows there.

use std::io;

use super::CliError;
use crate::config::{Catalog, Gateway};
use crate::runtime::Metrics;
use crate::server::{Files, Listener, Tls};

/// What a section of the configuration says of its port.
pub(super) struct Port<'a> {
    section: &'static str,
    address: &'a str,
    files: Option<Files>,
}

impl<'a> From<&'a Gateway> for Port<'a> {
    fn from(config: &'a Gateway) -> Self {
        let files = Files::configured(&config.tls_certificate, &config.tls_key);
        Self { section: "gateway", address: &config.listen, files }
    }
}

impl<'a> From<&'a Catalog> for Port<'a> {
    fn from(config: &'a Catalog) -> Self {
        let files = Files::configured(&config.tls_certificate, &config.tls_key);
        Self { section: "catalog", address: &config.listen, files }
    }
}

impl Port<'_> {
    /// Opens the port: for TLS where a certificate is configured, whose end the metrics tell.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the certificate cannot be used.
    pub(super) async fn open(self, metrics: &Metrics) -> Result<Listener, CliError> {
        let Self { section, address, files } = self;
        let tls = files.map(Tls::open).transpose();
        let tls = tls.map_err(|error| CliError::Usage(format!("{section}.tls_certificate: {error}")))?;
        let listener = Listener::bind(address, tls).await;
        let listener = listener.map_err(|error| io::Error::other(format!("{section}.listen {address}: {error}")))?;
        let metrics = metrics.clone();
        Ok(listener.telling(move |not_after| metrics.certificate(section, not_after)))
    }

    /// The files, where a port and a certificate are configured.
    #[cfg(feature = "media")]
    pub(super) fn files(self) -> Option<Files> {
        self.files.filter(|_| !self.address.is_empty())
    }
}
