//! Resolves names, once for each request. The addresses found are checked, shown to the request's [`super::Peers`], and
//! connected to. There is no second look-up, which could return other addresses.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use super::address::is_public;

/// Simultaneous fetches from a name share a look-up that is not older than this.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// The name exists but has no public address.
#[derive(Debug, thiserror::Error)]
#[error("the host name has no public address")]
pub(super) struct Refused;

/// The system's resolver, and the addresses of names that requests are using now. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Names {
    public_only: bool,
    pinned: Arc<Mutex<HashMap<String, Pin>>>,
}

#[derive(Debug)]
struct Pin {
    addresses: Vec<SocketAddr>,
    looked_up: Instant,
    fetches: usize,
}

/// The addresses of a name, kept for as long as a fetch from it takes.
#[derive(Debug)]
pub(super) struct Pinned {
    names: Names,
    name: String,
    /// The addresses that connections go to.
    pub(super) addresses: Vec<IpAddr>,
}

impl Names {
    /// A resolver that returns public addresses only, or all.
    pub(super) fn new(public_only: bool) -> Self {
        Self { public_only, pinned: Arc::default() }
    }

    /// Looks a name up. Until the returned value is dropped, all connections to that name use these addresses.
    pub(super) async fn pin(&self, name: &str) -> Result<Pinned, Box<dyn std::error::Error + Send + Sync>> {
        let fresh = |pin: &Pin| pin.looked_up.elapsed() < SHARED_FOR;
        let known = self.map().get(name).filter(|pin| fresh(pin)).map(|pin| pin.addresses.clone());
        let (addresses, looked_up) = match known {
            Some(addresses) => (addresses, None),
            None => (self.look_up(name).await?, Some(Instant::now())),
        };
        let pinned = addresses.iter().map(SocketAddr::ip).collect();
        let mut map = self.map();
        let new = || Pin { addresses: addresses.clone(), looked_up: Instant::now(), fetches: 0 };
        let pin = map.entry(name.to_owned()).or_insert_with(new);
        pin.fetches += 1;
        if let Some(looked_up) = looked_up {
            (pin.addresses, pin.looked_up) = (addresses, looked_up);
        }
        drop(map);
        Ok(Pinned { names: self.clone(), name: name.to_owned(), addresses: pinned })
    }

    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        // The HTTP client replaces port 0 by the URL's port.
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
        let allowed: Vec<_> = found.into_iter().filter(|found| !self.public_only || is_public(found.ip())).collect();
        match (allowed.is_empty(), self.public_only) {
            (false, _) => Ok(allowed),
            (true, true) => Err(Refused.into()),
            (true, false) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Pin>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut map = self.names.map();
        if let Some(pin) = map.get_mut(&self.name) {
            pin.fetches -= 1;
            if pin.fetches == 0 {
                map.remove(&self.name);
            }
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let pinned = names.map().get(name.as_str()).map(|pin| pin.addresses.clone());
            let addresses = match pinned {
                Some(addresses) => addresses,
                None => names.look_up(name.as_str()).await?,
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_forgotten_after_its_last_fetch() {
        let names = Names::new(false);
        let first = names.pin("localhost").await.expect("found");
        // Simulates a look-up that returns another address.
        let other: SocketAddr = "192.0.2.7:0".parse().expect("an address");
        names.map().get_mut("localhost").expect("pinned").addresses = vec![other];
        let second = names.pin("localhost").await.expect("found");
        assert!(first.addresses.iter().all(IpAddr::is_loopback));
        assert_eq!(second.addresses, [other.ip()]);
        drop(first);
        assert_eq!(names.map().get("localhost").map(|pin| pin.fetches), Some(1));
        drop(second);
        assert!(names.map().is_empty());
    }

    #[tokio::test]
    async fn names_without_a_public_address_are_refused() {
        let error = Names::new(true).pin("localhost").await.expect_err("loopback");
        assert!(error.is::<Refused>(), "{error}");
    }
}
