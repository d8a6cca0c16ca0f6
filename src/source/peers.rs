//! A hook that sees the addresses of a fetch before anything is sent to them.

use std::net::IpAddr;

use super::SourceError;
use crate::egress::{self, EgressError};

/// Is told which machines a fetch is about to connect to.
pub trait Peers: Send + Sync {
    /// The fetch is about to connect to one of these addresses; called for its URL and then for each redirect. An IPv4
    /// address stands for itself, an IPv6 address for its network of 64 bits, within which one machine chooses its
    /// addresses freely.
    ///
    /// # Errors
    /// If the fetch may not connect; it ends with this error.
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError>;
}

impl<P: egress::Peers> Peers for P {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError> {
        Ok(egress::Peers::meets(self, networks)?)
    }
}

/// Passes the addresses of a fetch's request to the [`Peers`] of the fetch.
pub(super) struct OfRequest<'a>(pub(super) &'a dyn Peers);

impl egress::Peers for OfRequest<'_> {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), EgressError> {
        self.0.meets(networks).map_err(|error| EgressError::Stopped(Box::new(error)))
    }
}
