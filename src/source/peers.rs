//! A hook that sees the addresses of a fetch before anything is sent to them.

use std::net::IpAddr;

use super::SourceError;
use crate::egress::{self, EgressError};

/// Watches the machines that a fetch leads to.
pub trait Peers: Send + Sync {
    /// The fetch is about to connect to one of these: what its URL leads to, then what each redirect leads to. An IPv4
    /// address stands for itself, an IPv6 address for the 64 bits that one machine chooses freely below.
    ///
    /// # Errors
    /// Where it may not connect; the fetch ends with the error.
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError>;
}

impl<P: egress::Peers> Peers for P {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError> {
        Ok(egress::Peers::meets(self, networks)?)
    }
}

/// Who watches a fetch also watches the request that it makes.
pub(super) struct OfRequest<'a>(pub(super) &'a dyn Peers);

impl egress::Peers for OfRequest<'_> {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), EgressError> {
        self.0.meets(networks).map_err(|error| EgressError::Stopped(Box::new(error)))
    }
}
