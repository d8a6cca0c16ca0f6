//! A hook that sees the addresses of a request before anything is sent to them.

use std::net::IpAddr;

use super::EgressError;

/// Is told which machines a request is about to connect to.
pub trait Peers: Send + Sync {
    /// The request is about to connect to one of these addresses; called for its URL and then for each redirect. An
    /// IPv4 address stands for itself, an IPv6 address for its network of 64 bits, within which one machine chooses its
    /// addresses freely.
    ///
    /// # Errors
    /// If the request may not connect; it ends with this error.
    fn meets(&self, networks: &[IpAddr]) -> Result<(), EgressError>;
}

/// Allows every address.
#[derive(Debug, Clone, Copy)]
pub struct Anybody;

impl Peers for Anybody {
    fn meets(&self, _networks: &[IpAddr]) -> Result<(), EgressError> {
        Ok(())
    }
}
