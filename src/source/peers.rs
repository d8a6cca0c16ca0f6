//! Where a fetch leads, told to whoever keeps an eye on origins before anything is sent there.

use std::net::IpAddr;

use super::SourceError;

/// Keeps an eye on the machines that a fetch leads to.
pub trait Peers: Send + Sync {
    /// The fetch is about to connect to one of these: what its URL leads to, then what each redirect leads to. An IPv4
    /// address stands for itself, an IPv6 address for the 64 bits that one machine chooses freely below.
    ///
    /// # Errors
    /// Where it may not; the fetch ends with the error.
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError>;
}

/// Lets every fetch go where it leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anybody;

impl Peers for Anybody {
    fn meets(&self, _networks: &[IpAddr]) -> Result<(), SourceError> {
        Ok(())
    }
}
