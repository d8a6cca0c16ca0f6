//! A dead destination does not slow another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{deliverer, destination, normalized, rig, sent, told, webhook};
use crate::support::http::{Http, Step, answer, ok};
use crate::support::processes::wait_until;
use crate::support::rig::Rig;
use crate::support::say::say;

/// Samples in a row of one sort.
const BLOCK: usize = 100;
/// Events that wait for the dead ones.
const BACKLOG: usize = 200;
/// Most that the others may take, as a share of what they take without the dead ones.
const MOST: f64 = 1.2;
/// The answer without which it is a stall.
const STALL: u16 = 0;

/// A receiver whose answer is a status, or none ever.
fn dying(status: &Arc<AtomicU16>) -> Http {
    let status = Arc::clone(status);
    Http::start(move |_| match status.load(Ordering::Relaxed) {
        STALL => vec![Step::Stall],
        status => answer(&format!("{status} No"), &["content-length: 0"], ""),
    })
}

/// A receiver that tells which media came, when.
fn living() -> (Http, Receiver<(String, Instant)>) {
    let (tell, told) = channel();
    let http = Http::start(move |asked| {
        let event: Value = serde_json::from_slice(&asked.body).expect("JSON");
        let media = event["data"]["media_id"].as_str().unwrap_or_default().to_owned();
        tell.send((media, Instant::now())).ok();
        ok("")
    });
    (http, told)
}

fn event(media_id: &str, tenant: &str) -> Value {
    let mut event = normalized(media_id);
    event["data"]["tenant"] = json!(tenant);
    event
}

/// How long events of this tenant take from their publishing to the receiver, one after another.
fn block(rig: &Rig, told: &Receiver<(String, Instant)>, name: &str, tenant: &str) -> Vec<Duration> {
    let one = |n: usize| {
        let media = format!("{name}-{n}");
        let letter = sent("media.normalized.audio", &event(&media, tenant));
        let begun = Instant::now();
        rig.bus.publish(&letter);
        let (came, at) = told.recv_timeout(Duration::from_secs(20)).expect("a webhook");
        assert_eq!(came, media);
        at.duration_since(begun)
    };
    (0..BLOCK).map(one).collect()
}

/// Median and 95th percentile in milliseconds.
fn figures(samples: &mut [Duration]) -> (f64, f64) {
    samples.sort_unstable();
    let at = |percent: usize| samples[samples.len() * percent / 100].as_secs_f64() * 1000.0;
    (at(50), at(95))
}

#[test]
#[ignore = "takes minutes and compares times: make deliver-isolation"]
fn a_dead_destination_does_not_slow_another() {
    let Some(mut rig) = rig() else { return };
    let blocks = std::env::var("SAMPLES").map_or(5, |text| text.parse::<usize>().expect("a number").div_ceil(BLOCK));
    let (stalls, fails) = (Arc::new(AtomicU16::new(STALL)), Arc::new(AtomicU16::new(503)));
    let ((works, told_by), dead) = (living(), [dying(&stalls), dying(&fails)]);
    webhook(&mut rig, "works", &works.url("/in"));
    for (name, http) in ["stalls", "fails"].iter().zip(&dead) {
        webhook(&mut rig, name, &http.url("/in"));
        // The one that stalls is asked all the time.
        destination(&mut rig, name, &[("tenants", "dead"), ("timeout_s", "1")]);
    }
    destination(&mut rig, "works", &[("tenants", "idle,dead")]);
    destination(&mut rig, "stalls", &[("max_errors", "100000")]);
    let deliverer = deliverer(&rig);
    let stopped = "the destination is stopped: its events wait in its queue until `mediamill deliver resume`";
    let (mut idle, mut beside) = (Vec::new(), Vec::new());
    drop(block(&rig, &told_by, "warm", "idle"));
    for n in 0..blocks {
        idle.extend(block(&rig, &told_by, &format!("idle-{n}"), "idle"));
        if n == 0 {
            let backlog: Vec<_> =
                (0..BACKLOG).map(|n| sent("media.normalized.audio", &event(&format!("backlog-{n}"), "dead"))).collect();
            rig.bus.publish_all(&backlog);
            for _ in 0..BACKLOG {
                told_by.recv_timeout(Duration::from_secs(60)).expect("the backlog at the one that works");
            }
        } else {
            for (status, dead) in [(&stalls, STALL), (&fails, 503)] {
                status.store(dead, Ordering::Relaxed);
            }
            for name in ["stalls", "fails"] {
                told(&rig, &["deliver", "resume", name]);
            }
        }
        let asked = dead[0].asked().len();
        wait_until("the dead one is asked", || dead[0].asked().len() > asked);
        beside.extend(block(&rig, &told_by, &format!("beside-{n}"), "dead"));
        // Without attempts until they are resumed.
        for status in [&stalls, &fails] {
            status.store(410, Ordering::Relaxed);
        }
        let deadline = Instant::now() + Duration::from_secs(90);
        while deliverer.logged(stopped) < 2 * (n + 1) {
            assert!(Instant::now() < deadline, "the dead ones are not stopped");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let asked = dead.each_ref().map(|http| http.asked().len());
    deliverer.stops();
    let samples = (idle.len(), beside.len());
    let ((idle_50, idle_95), (beside_50, beside_95)) = (figures(&mut idle), figures(&mut beside));
    let (median, p95) = (beside_50 / idle_50, beside_95 / idle_95);
    say(format!(
        "publishing to webhook: idle {} samples, median {idle_50:.1} ms, p95 {idle_95:.1} ms; beside two dead destinations \
         ({} and {} requests) {} samples, median {beside_50:.1} ms ({median:.2}), p95 {beside_95:.1} ms ({p95:.2})",
        samples.0, asked[0], asked[1], samples.1
    ));
    assert!(median <= MOST && p95 <= MOST, "{median:.2}, {p95:.2}");
}
