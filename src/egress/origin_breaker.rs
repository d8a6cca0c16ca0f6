//! The circuit breaker of origins. If an origin has used up a minute of one tenant's job time without delivering a
//! file, it gets no requests of that tenant for a minute. After that, one job at a time tries it until one receives its
//! file. So an origin that hangs does not delay jobs with other origins.
//!
//! Time is counted by tenant and by what fails as a unit: a bucket, or the address that a fetch connects to, whatever
//! its names and ports. One tenant's broken links do not block a host for other tenants.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::{Host, Url};

use super::{EgressError, Peers};
use crate::error::{Code, Fault};
use crate::events::Origin;

/// How much time in slots an endpoint may use up without delivering a file.
const MAX_WASTED: Duration = Duration::from_secs(60);
/// How long it then gets no requests. After that, one job at a time tries it until one receives its file.
const PAUSE: Duration = Duration::from_secs(60);
/// At most this many endpoints are remembered. Those whose pause is over are forgotten first, then those that failed
/// longest ago.
const MAX_ENDPOINTS: usize = 1024;
/// At most this many addresses of one name are checked; a client tries them in this order.
const MAX_ADDRESSES: usize = 8;
const PAUSED: &str =
    "the origin used 60 s of job time of this tenant without delivering a file: it gets no requests for 60 s";

/// The endpoints that failed lately, at most 1024, by tenant. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<Mutex<HashMap<Endpoint, Failures>>>);

/// What fails as a unit, for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Endpoint {
    tenant: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// An IPv4 address, or an IPv6 network of 64 bits.
    Network(IpAddr),
    /// A bucket, by name.
    Bucket(String),
    /// The name look-up. Until it ends it is unknown where a fetch connects to.
    Names,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    /// Job time that was used up without a file since the last success.
    wasted: Duration,
    last: Instant,
    paused_until: Option<Instant>,
    /// One job is trying whether the endpoint works again.
    on_trial: bool,
}

/// One fetch. [`Peers::meets`] tells it which addresses it leads to.
#[derive(Debug)]
pub struct Visit {
    endpoints: Endpoints,
    tenant: String,
    at: Mutex<Position>,
}

/// The place that a fetch has reached.
#[derive(Debug)]
struct Position {
    /// One endpoint for each address of the name; empty for a file on this machine.
    endpoints: Vec<Endpoint>,
    since: Instant,
}

impl Endpoints {
    /// Asks for permission to fetch from an origin.
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
            // No bucket has a slash in its name.
            Origin::Object { account, .. } => Some(Place::Bucket(format!("buckets/{account}"))),
            // An account of a channel has its own breaker, and its configuration names its hosts.
            Origin::File { .. } | Origin::Channel { .. } => None,
        };
        let endpoints: Vec<_> = place.map(|place| Endpoint { tenant: tenant.to_owned(), place }).into_iter().collect();
        if !admit(&mut self.map(), &endpoints, now) {
            return Err(Fault::transient(Code::SourceUnavailable, PAUSED));
        }
        let at = Mutex::new(Position { endpoints, since: now });
        Ok(Visit { endpoints: self.clone(), tenant: tenant.to_owned(), at })
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Endpoint, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a job may use these endpoints. Either all are admitted or none.
fn admit(map: &mut HashMap<Endpoint, Failures>, endpoints: &[Endpoint], now: Instant) -> bool {
    let is_paused = |endpoint| map.get(endpoint).is_some_and(|failures| failures.is_paused(now));
    if endpoints.iter().any(is_paused) {
        return false;
    }
    for endpoint in endpoints {
        if let Some(failures) = map.get_mut(endpoint) {
            failures.on_trial = failures.paused_until.is_some();
        }
    }
    true
}

impl Failures {
    /// Whether no job may use the endpoint now.
    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until || self.on_trial)
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.on_trial && self.paused_until.is_none_or(|until| until <= now)
    }
}

impl Visit {
    /// Reports the end of the fetch. `to_blame` says that it failed by a timeout or an error of the endpoint, which
    /// counts against it. Otherwise what was counted is forgotten.
    pub fn ends(self, to_blame: bool) {
        self.ends_at(to_blame, Instant::now());
    }

    fn ends_at(self, to_blame: bool, now: Instant) {
        let Position { endpoints, since } = &mut *self.at();
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
            return Err(EgressError::Unavailable(PAUSED.to_owned()));
        }
        *at = Position { endpoints, since: now };
        Ok(())
    }

    fn at(&self) -> MutexGuard<'_, Position> {
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
        // The fetch was abandoned: that says nothing about the endpoint.
        let endpoints = std::mem::take(&mut self.at().endpoints);
        for endpoint in endpoints {
            if let Some(failures) = self.endpoints.map().get_mut(&endpoint) {
                failures.on_trial = false;
            }
        }
    }
}

/// The fetch continues at another place, so these endpoints have answered. A redirect is not a file, so what was
/// counted against them stays.
fn leave(map: &mut HashMap<Endpoint, Failures>, endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        if endpoint.place == Place::Names {
            map.remove(endpoint);
        } else if let Some(failures) = map.get_mut(endpoint) {
            failures.on_trial = false;
        }
    }
}

/// Adds time that an endpoint used up without delivering a file.
fn blame(map: &mut HashMap<Endpoint, Failures>, endpoint: Endpoint, wasted: Duration, now: Instant) {
    if map.len() >= MAX_ENDPOINTS && !map.contains_key(&endpoint) {
        map.retain(|_, failures| !failures.is_over(now));
        if map.len() >= MAX_ENDPOINTS {
            let oldest = map.iter().min_by_key(|(_, failures)| failures.last).map(|(oldest, _)| oldest.clone());
            oldest.and_then(|oldest| map.remove(&oldest));
        }
    }
    let new = Failures { wasted: Duration::ZERO, last: now, paused_until: None, on_trial: false };
    let failures = map.entry(endpoint).or_insert(new);
    failures.wasted += wasted;
    failures.last = now;
    if failures.wasted >= MAX_WASTED {
        (failures.paused_until, failures.on_trial) = (Some(now + PAUSE), false);
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

    /// A fetch that leads to this address.
    fn visit(endpoints: &Endpoints, tenant: &str, to: &str, now: Instant) -> Option<Visit> {
        let visit = endpoints.visit_at(tenant, &http("a.example"), now).ok()?;
        visit.meets_at(&[address(to)], now).is_ok().then_some(visit)
    }

    fn fails(endpoints: &Endpoints, tenant: &str, to: &str, now: Instant, after: Duration) -> bool {
        visit(endpoints, tenant, to, now).map(|visit| visit.ends_at(true, now + after)).is_some()
    }

    #[test]
    fn an_origin_that_wastes_a_minute_is_not_asked_for_a_minute_and_then_tried_by_one_job() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let fails = |now, after| fails(&endpoints, "acme", "192.0.2.1", now, after);
        assert!(fails(start, S(30)));
        assert!(fails(start, S(30)));
        assert!(!fails(start + S(31), S(1)));
        assert!(visit(&endpoints, "acme", "192.0.2.2", start + S(31)).is_some(), "other addresses are not affected");

        let later = start + S(91);
        let trial = visit(&endpoints, "acme", "192.0.2.1", later).expect("one");
        assert!(!fails(later, S(1)), "only one job tries it");
        drop(trial);
        let trial = visit(&endpoints, "acme", "192.0.2.1", later).expect("the job before gave up");
        trial.meets_at(&[address("192.0.2.1")], later).expect("a second fetch of the same job");
        trial.ends_at(false, later);
        assert!(fails(later, S(1)), "the endpoint works again");
    }

    #[test]
    fn failures_count_for_one_tenant_and_for_all_names_of_an_address() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        assert!((0..2).all(|_| fails(&endpoints, "acme", "192.0.2.1", start, S(30))));
        assert!(fails(&endpoints, "beta", "192.0.2.1", start + S(31), S(1)), "another tenant on the same host");
        // Another name and port with the same address, and a redirect to that address.
        let other_name = endpoints.visit_at("acme", &http("b.example:8443"), start + S(31)).expect("not known yet");
        let both = [address("192.0.2.9"), address("192.0.2.1")];
        assert!(other_name.meets_at(&both, start + S(31)).is_err());
        let redirected = visit(&endpoints, "acme", "192.0.2.9", start + S(31)).expect("admitted");
        assert!(redirected.meets_at(&[address("192.0.2.1")], start + S(31)).is_err());
        // The breaker's own refusal does not count against an endpoint.
        redirected.ends_at(true, start + S(99));
        assert!(visit(&endpoints, "acme", "192.0.2.9", start + S(31)).is_some());
    }

    #[test]
    fn name_look_ups_that_hang_count_together() {
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
        assert!(hangs("d.example", start + S(90)), "look-ups work again");
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
    fn quick_failures_count_little_and_successes_nothing() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        assert!((0..1000).all(|_| fails(&endpoints, "acme", "192.0.2.1", start, Duration::from_millis(50))));
        let visit = visit(&endpoints, "acme", "192.0.2.1", start).expect("admitted");
        visit.ends_at(false, start + S(3600));
        assert!(endpoints.map().is_empty());
    }

    #[test]
    fn the_number_of_remembered_endpoints_is_bounded_and_the_latest_are_kept() {
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
