//! A hook that sees the addresses of a request before anything is sent to them.

use std::net::IpAddr;

use super::EgressError;

/// Watches the machines that a request leads to.
pub trait Peers: Send + Sync {
    /// The request is about to connect to one of these: what its URL leads to, then what each redirect leads to. An IPv4
    /// address stands for itself, an IPv6 address for the 64 bits that one machine chooses freely below.
    ///
    /// # Errors
    /// Where it may not connect; the request ends with the error.
    fn meets(&self, networks: &[IpAddr]) -> Result<(), EgressError>;
}

/// Lets every request go where it leads.
#[derive(Debug, Clone, Copy)]
pub struct Anybody;

impl Peers for Anybody {
    fn meets(&self, _networks: &[IpAddr]) -> Result<(), EgressError> {
        Ok(())
    }
}
