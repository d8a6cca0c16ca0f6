//! Origins that waste slots. Whoever takes a minute of them in a row and gives nothing is left alone for a minute, so
//! that one endpoint that hangs does not hold up what comes from all the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::error::{Code, Fault};
use crate::events::Origin;

/// Time in slots that an endpoint may waste in a row.
const WASTE: Duration = Duration::from_secs(60);
/// How long it is left alone then. Afterwards one job at a time may try it, until one gets its file.
const REST: Duration = Duration::from_secs(60);
/// More endpoints than this are not remembered: those whose rest is over go first.
const MAX_ENDPOINTS: usize = 1024;

/// What is known of endpoints in trouble. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(Arc<Mutex<HashMap<String, Trouble>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    wasted: Duration,
    rests_until: Option<Instant>,
    /// Somebody finds out whether it is well again.
    on_trial: bool,
}

/// One fetch from an endpoint.
#[derive(Debug)]
pub(super) struct Visit {
    endpoints: Endpoints,
    name: Option<String>,
    began: Instant,
    ended: bool,
}

impl Endpoints {
    /// Before a fetch.
    ///
    /// # Errors
    /// [`Fault::Transient`] while the endpoint is left alone.
    pub(super) fn visit(&self, origin: &Origin) -> Result<Visit, Fault> {
        self.visit_at(name(origin), Instant::now())
    }

    fn visit_at(&self, name: Option<String>, now: Instant) -> Result<Visit, Fault> {
        let admitted = name.as_ref().and_then(|name| self.map().get_mut(name).map(|trouble| trouble.admit(now)));
        if admitted == Some(false) {
            let message = "the origin has kept jobs waiting for too long; it is left alone for a while";
            return Err(Fault::transient(Code::SourceUnavailable, message));
        }
        Ok(Visit { endpoints: self.clone(), name, began: now, ended: false })
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// Whether a job may try it.
    fn admit(&mut self, now: Instant) -> bool {
        match self.rests_until {
            None => true,
            Some(until) if now < until || self.on_trial => false,
            Some(_) => {
                self.on_trial = true;
                true
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.on_trial && self.rests_until.is_none_or(|until| until <= now)
    }
}

impl Visit {
    /// The fetch has ended, for better or, where the endpoint is to blame, for worse.
    pub(super) fn ends(self, to_blame: bool) {
        self.ends_at(to_blame, Instant::now());
    }

    fn ends_at(mut self, to_blame: bool, now: Instant) {
        self.ended = true;
        let Some(name) = self.name.take() else { return };
        let mut map = self.endpoints.map();
        if !to_blame {
            map.remove(&name);
            return;
        }
        if map.len() >= MAX_ENDPOINTS {
            map.retain(|_, trouble| !trouble.is_over(now));
        }
        if map.len() < MAX_ENDPOINTS || map.contains_key(&name) {
            let trouble = map.entry(name).or_default();
            trouble.wasted += now - self.began;
            if trouble.wasted >= WASTE {
                *trouble = Trouble { wasted: trouble.wasted, rests_until: Some(now + REST), on_trial: false };
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Given up: the endpoint is neither better nor worse.
        if let Some(name) = self.name.take().filter(|_| !self.ended)
            && let Some(trouble) = self.endpoints.map().get_mut(&name)
        {
            trouble.on_trial = false;
        }
    }
}

/// What fails together: a host and port, a bucket. Files have nobody to wait for.
fn name(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Http { url } => {
            let url = Url::parse(url).ok()?;
            Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
        }
        Origin::S3 { bucket, .. } => Some(bucket.clone()),
        Origin::File { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(endpoints: &Endpoints, at: Instant, after: Duration) -> bool {
        let visit = endpoints.visit_at(Some("a:443".to_owned()), at);
        visit.map(|visit| visit.ends_at(true, at + after)).is_ok()
    }

    #[test]
    fn who_wastes_a_minute_is_left_alone_for_a_minute_and_then_tried_by_one() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        let s = Duration::from_secs;
        assert!(fails(&endpoints, start, s(30)));
        assert!(fails(&endpoints, start, s(30)));
        assert!(!fails(&endpoints, start + s(31), s(1)));
        let other = endpoints.visit_at(Some("b:443".to_owned()), start + s(31));
        assert!(other.is_ok(), "others are not to blame");

        let later = start + s(91);
        let trial = endpoints.visit_at(Some("a:443".to_owned()), later).expect("one");
        assert!(!fails(&endpoints, later, s(1)), "and only one");
        drop(trial);
        let trial = endpoints.visit_at(Some("a:443".to_owned()), later).expect("the one before gave up");
        trial.ends_at(false, later);
        assert!(fails(&endpoints, later, s(1)), "well again");
    }

    #[test]
    fn quick_failures_waste_little_and_successes_nothing() {
        let (endpoints, start) = (Endpoints::default(), Instant::now());
        assert!((0..1000).all(|_| fails(&endpoints, start, Duration::from_millis(50))));
        let visit = endpoints.visit_at(Some("a:443".to_owned()), start).expect("admitted");
        visit.ends_at(false, start + Duration::from_secs(3600));
        assert!(endpoints.map().is_empty());
    }

    #[test]
    fn what_fails_together_has_one_name() {
        let http = |url: &str| name(&Origin::Http { url: url.to_owned() });
        assert_eq!(http("https://cdn.example/a?sig=1"), Some("cdn.example:443".to_owned()));
        assert_eq!(http("https://cdn.example/a?sig=1"), http("https://CDN.example:443/b"));
        assert_eq!(name(&Origin::File { path: "/a".to_owned() }), None);
    }
}
