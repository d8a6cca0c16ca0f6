//! The breaker of origins. An origin that has taken a minute of a tenant's jobs in a row without giving a file is not asked
//! for a minute; then one job at a time tries it, until one gets its file. So an origin that hangs does not hold up jobs from
//! others.
//!
//! Time is counted by tenant and by what fails together: the address that a fetch leads to, whatever its names and ports are,
//! or a bucket. One tenant's broken links do not close a host for another tenant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::{Host, Url};

use super::{EgressError, Peers};
use crate::error::{Code, Fault};
use crate::events::Origin;

/// Time in slots that an endpoint may waste in a row.
const WASTE: Duration = Duration::from_secs(60);
/// How long it is not asked then. Afterwards one job at a time may try it, until one gets its file.
const REST: Duration = Duration::from_secs(60);
/// More endpoints than this are not remembered: those whose rest is over go first, then those that failed longest ago.
const MAX_ENDPOINTS: usize = 1024;
/// More addresses of one name are not looked at: a client tries them in this order.
const MAX_ADDRESSES: usize = 8;
const RESTS: &str = "the origin took 60 s of this tenant's jobs and gave no file; it is not asked for 60 s";

/// The endpoints that failed lately, 1024 at most, by tenant. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<Mutex<HashMap<Endpoint, Trouble>>>);

/// What fails together, for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Endpoint {
    tenant: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// An IPv4 address, or a network of IPv6 addresses.
    Network(IpAddr),
    /// A bucket by its name.
    Bucket(String),
    /// The look-up of names: before it ends, it is not known where a fetch leads.
    Names,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    wasted: Duration,
    last: Instant,
    rests_until: Option<Instant>,
    /// One job is trying whether it works again.
    on_trial: bool,
}

/// One fetch. It is told by [`Peers::meets`] where it leads.
#[derive(Debug)]
pub struct Visit {
    endpoints: Endpoints,
    tenant: String,
    at: Mutex<At>,
}

/// Where a fetch is.
#[derive(Debug)]
struct At {
    /// As many as its name has addresses; none for a file of this machine.
    endpoints: Vec<Endpoint>,
    since: Instant,
}

impl Endpoints {
    /// Before a fetch.
    ///
    /// # Errors
    /// [`Fault::Transient`] while the breaker of the origin is open.
    pub fn visit(&self, tenant: &str, origin: &Origin) -> Result<Visit, Fault> {
        self.visit_at(tenant, origin, Instant::now())
    }

    fn visit_at(&self, tenant: &str, origin: &Origin, now: Instant) -> Result<Visit, Fault> {
        let place = match origin {
            Origin::Http { url } => {
                let named = Url::parse(url).is_ok_and(|url| matches!(url.host(), Some(Host::Domain(_))));
                named.then_some(Place::Names)
            }
            Origin::S3 { bucket, .. } => Some(Place::Bucket(bucket.clone())),
            // An account of a channel has a breaker of its own, with the hosts that its configuration names.
            Origin::File { .. } | Origin::Channel { .. } => None,
        };
        let endpoints: Vec<_> = place.map(|place| Endpoint { tenant: tenant.to_owned(), place }).into_iter().collect();
        if !admit(&mut self.map(), &endpoints, now) {
            return Err(Fault::transient(Code::SourceUnavailable, RESTS));
        }
        let at = Mutex::new(At { endpoints, since: now });
        Ok(Visit { endpoints: self.clone(), tenant: tenant.to_owned(), at })
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Endpoint, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a job may try these, all or none of them.
fn admit(map: &mut HashMap<Endpoint, Trouble>, endpoints: &[Endpoint], now: Instant) -> bool {
    let rests = |endpoint| map.get(endpoint).is_some_and(|trouble| trouble.rests(now));
    if endpoints.iter().any(rests) {
        return false;
    }
    for endpoint in endpoints {
        if let Some(trouble) = map.get_mut(endpoint) {
            trouble.on_trial = trouble.rests_until.is_some();
        }
    }
    true
}

impl Trouble {
    /// Whether no job may try it now.
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until || self.on_trial)
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.on_trial && self.rests_until.is_none_or(|until| until <= now)
    }
}

impl Visit {
    /// The fetch has ended. `to_blame`: it failed by a timeout or an error of the endpoint's, which counts against it; else
    /// what was counted is forgotten.
    pub fn ends(self, to_blame: bool) {
        self.ends_at(to_blame, Instant::now());
    }

    fn ends_at(self, to_blame: bool, now: Instant) {
        let At { endpoints, since } = &mut *self.at();
        let endpoints = std::mem::take(endpoints);
        let mut map = self.endpoints.map();
        for endpoint in endpoints {
            if to_blame {
                blame(&mut map, endpoint, now.saturating_duration_since(*since), now);
            } else {
                map.remove(&endpoint);
            }
        }
    }

    fn meets_at(&self, networks: &[IpAddr], now: Instant) -> Result<(), EgressError> {
        let mut at = self.at();
        let mut map = self.endpoints.map();
        leave(&mut map, &std::mem::take(&mut at.endpoints));
        let place = |network: &IpAddr| Endpoint { tenant: self.tenant.clone(), place: Place::Network(*network) };
        let mut endpoints: Vec<_> = networks.iter().take(MAX_ADDRESSES).map(place).collect();
        endpoints.dedup();
        if !admit(&mut map, &endpoints, now) {
            return Err(EgressError::Unavailable(RESTS.to_owned()));
        }
        *at = At { endpoints, since: now };
        Ok(())
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers for Visit {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), EgressError> {
        self.meets_at(networks, Instant::now())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Given up: the endpoint is neither better nor worse.
        let endpoints = std::mem::take(&mut self.at().endpoints);
        for endpoint in endpoints {
            if let Some(trouble) = self.endpoints.map().get_mut(&endpoint) {
                trouble.on_trial = false;
            }
        }
    }
}

/// A fetch goes on to another place: these have answered. A redirect is not a file, so what was counted against them stays.
fn leave(map: &mut HashMap<Endpoint, Trouble>, endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        if endpoint.place == Place::Names {
            map.remove(endpoint);
        } else if let Some(trouble) = map.get_mut(endpoint) {
            trouble.on_trial = false;
        }
    }
}

/// An endpoint has wasted time.
fn blame(map: &mut HashMap<Endpoint, Trouble>, endpoint: Endpoint, wasted: Duration, now: Instant) {
    if map.len() >= MAX_ENDPOINTS && !map.contains_key(&endpoint) {
        map.retain(|_, trouble| !trouble.is_over(now));
        if map.len() >= MAX_ENDPOINTS {
            let oldest = map.iter().min_by_key(|(_, trouble)| trouble.last).map(|(oldest, _)| oldest.clone());
            oldest.and_then(|oldest| map.remove(&oldest));
        }
    }
    let new = Trouble { wasted: Duration::ZERO, last: now, rests_until: None, on_trial: false };
    let trouble = map.entry(endpoint).or_insert(new);
    trouble.wasted += wasted;
    trouble.last = now;
    if trouble.wasted >= WASTE {
        (trouble.rests_until, trouble.on_trial) = (Some(now + REST), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn http(host: &str) -> Origin {
        Origin::Http { url: format!("https://{host}/a?sig=1") }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// A visit that gets as far as this address.
    fn visit(endpoints: &Endpoints, tenant: &str, to: &str, now: Instant) -> Option<Visit> {
        let visit = endpoints.visit_at(tenant, &http("a.example"), now).ok()?;
        visit.meets_at(&[address(to)], now).is_ok().then_some(visit)
    }

    fn fails(endpoints: &Endpoints, tenant: &str, to: &str, now: Instant, after: Duration) -> bool {
        visit(endpoints, tenant, to, now).map(|visit| visit.ends_at(true, now + after)).is_some()
    }

    #[test]
    fn who_wastes_a_minute_is_left_alone_for_a_minute_and_then_tried_by_one() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let fails = |now, after| fails(&endpoints, "acme", "192.0.2.1", now, after);
        assert!(fails(start, S(30)));
        assert!(fails(start, S(30)));
        assert!(!fails(start + S(31), S(1)));
        assert!(visit(&endpoints, "acme", "192.0.2.2", start + S(31)).is_some(), "others are not to blame");

        let later = start + S(91);
        let trial = visit(&endpoints, "acme", "192.0.2.1", later).expect("one");
        assert!(!fails(later, S(1)), "and only one");
        drop(trial);
        let trial = visit(&endpoints, "acme", "192.0.2.1", later).expect("the one before gave up");
        trial.meets_at(&[address("192.0.2.1")], later).expect("a second fetch of the same job");
        trial.ends_at(false, later);
        assert!(fails(later, S(1)), "well again");
    }

    #[test]
    fn a_tenants_trouble_is_its_own_and_names_do_not_multiply_patience() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        assert!((0..2).all(|_| fails(&endpoints, "acme", "192.0.2.1", start, S(30))));
        assert!(fails(&endpoints, "beta", "192.0.2.1", start + S(31), S(1)), "another tenant on the same host");
        // Another name and port, the same address among others, and after a redirect.
        let other_name = endpoints.visit_at("acme", &http("b.example:8443"), start + S(31)).expect("not known yet");
        let both = [address("192.0.2.9"), address("192.0.2.1")];
        assert!(other_name.meets_at(&both, start + S(31)).is_err());
        let redirected = visit(&endpoints, "acme", "192.0.2.9", start + S(31)).expect("admitted");
        assert!(redirected.meets_at(&[address("192.0.2.1")], start + S(31)).is_err());
        // The refusal is not held against anybody.
        redirected.ends_at(true, start + S(99));
        assert!(visit(&endpoints, "acme", "192.0.2.9", start + S(31)).is_some());
    }

    #[test]
    fn names_that_are_looked_up_for_ever_count_together() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let hangs = |name: &str, now| {
            let visit = endpoints.visit_at("acme", &http(name), now);
            visit.map(|visit| visit.ends_at(true, now + S(20))).is_ok()
        };
        assert!(["a.example", "b.example", "c.example"].into_iter().all(|name| hangs(name, start)));
        assert!(!hangs("d.example", start + S(21)));
        let literal = endpoints.visit_at("acme", &http("192.0.2.1"), start + S(21));
        assert!(literal.is_ok() && endpoints.visit_at("beta", &http("a.example"), start + S(21)).is_ok());
        let later = endpoints.visit_at("acme", &http("a.example"), start + S(90)).expect("on trial");
        later.meets_at(&[address("192.0.2.1")], start + S(90)).expect("found");
        assert!(hangs("d.example", start + S(90)), "well again");
    }

    #[test]
    fn buckets_count_by_name_and_files_not_at_all() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let s3 = |bucket: &str| Origin::S3 { bucket: bucket.to_owned(), key: "k".to_owned() };
        endpoints.visit_at("acme", &s3("slow"), start).expect("admitted").ends_at(true, start + S(60));
        let admitted = |origin: &Origin| endpoints.visit_at("acme", origin, start + S(61)).is_ok();
        assert!(!admitted(&s3("slow")) && admitted(&s3("other")));
        let file = Origin::File { path: "/a".to_owned() };
        endpoints.visit_at("acme", &file, start).expect("admitted").ends_at(true, start + S(600));
        assert!(admitted(&file));
    }

    #[test]
    fn quick_failures_waste_little_and_successes_nothing() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        assert!((0..1000).all(|_| fails(&endpoints, "acme", "192.0.2.1", start, Duration::from_millis(50))));
        let visit = visit(&endpoints, "acme", "192.0.2.1", start).expect("admitted");
        visit.ends_at(false, start + S(3600));
        assert!(endpoints.map().is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_trouble_is_in_it() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let addresses = (0..MAX_ENDPOINTS + 100).map(|n| format!("10.0.{}.{}", n / 256, n % 256));
        for (n, to) in (0..).zip(addresses) {
            assert!(fails(&endpoints, "flood", &to, start + Duration::from_millis(n), S(60)), "{to}");
        }
        assert_eq!(endpoints.map().len(), MAX_ENDPOINTS);
        assert!(fails(&endpoints, "acme", "192.0.2.1", start + S(5), S(60)));
        assert!(!fails(&endpoints, "acme", "192.0.2.1", start + S(66), S(1)));
        assert_eq!(endpoints.map().len(), MAX_ENDPOINTS);
    }
}
