//! How searches, ingest, rebuild, `subject` and the sweeper behave as tenants are added: `make catalog-scale ROWS=100000`. What it
//! prints is the table of docs/benchmarks.md.

mod audit;
mod bulk;
mod stored;

use std::time::{Duration, Instant};

use mediamill::roles::catalog::index::{Change, Entry, Filter, Index};

use super::{at, both, entry, outcome};
use crate::support::say::say;
use bulk::bulk;

/// Media of one tenant; more rows are more tenants.
const PER_TENANT: i64 = 1_000;
/// As many as the role stores in one transaction.
const BATCH: usize = 200;
const ASKED: usize = 300;
/// Such rows of searches take well under a second: one that something else on the machine got into does not count.
const ROUNDS: usize = 3;
/// By how much the slowest twentieth of the searches may grow from the first size to the last.
const MOST_GROWTH: f64 = 2.0;
/// Rows a second of ingest, of those of a bulk insert.
const LEAST_INGEST: f64 = 0.3;
/// Below this a search is as fast as the clock and the scheduler of a busy machine tell.
const NOISE: Duration = Duration::from_millis(4);

fn media(tenant: i64, n: i64) -> Entry {
    let words = ["invoice", "holiday", "contract", "dentist", "garden", "delivery", "photo", "complaint"];
    let word = |k: i64| words[usize::try_from((n * 7 + k * 3) % 8).expect("small")];
    Entry {
        tenant: format!("tenant-{tenant}"),
        caption: Some(format!("{} {} number {n}", word(0), word(1))),
        file_name: Some(format!("{}-{n}.ogg", word(2))),
        tags: if n % 10 == 0 { vec!["vip".to_owned()] } else { Vec::new() },
        contacts: vec![format!("contact-{tenant}-{}", n % 50)],
        data: format!(r#"{{"assets":[],"filler":"{}"}}"#, "x".repeat(900)),
        ..entry(&format!("m{n}"), n)
    }
}

/// Stores the tenants of this range; rows a second.
async fn store(index: &dyn Index, tenants: std::ops::Range<i64>) -> f64 {
    let (begun, mut rows) = (Instant::now(), 0_u32);
    for tenant in tenants {
        let changes: Vec<Change> = (0..PER_TENANT).map(|n| outcome(media(tenant, n))).collect();
        for batch in changes.chunks(BATCH) {
            index.apply(batch).await.expect("stored");
            rows += u32::try_from(batch.len()).expect("small");
        }
    }
    f64::from(rows) / begun.elapsed().as_secs_f64()
}

/// The time that 95 of 100 searches stay below, in the fastest of some rounds.
async fn p95(index: &dyn Index, tenants: i64, filter: impl Fn(i64) -> Filter) -> Duration {
    let mut fastest = Duration::MAX;
    for round in 0..ROUNDS {
        fastest = fastest.min(p95_of_round(round, index, tenants, &filter).await);
    }
    fastest
}

/// Each round asks about other tenants, where there are so many.
async fn p95_of_round(round: usize, index: &dyn Index, tenants: i64, filter: &impl Fn(i64) -> Filter) -> Duration {
    let mut times = Vec::with_capacity(ASKED);
    let first = i64::try_from(round * ASKED).expect("small");
    for n in first..first + i64::try_from(ASKED).expect("small") {
        let filter = Filter { now: at(10_000_000), ..filter((n * 7919) % tenants) };
        let begun = Instant::now();
        let rows = index.find(&filter, None, 50).await.expect("an answer");
        times.push(begun.elapsed());
        assert!(!rows.is_empty(), "nothing is found: {filter:?}");
    }
    times.sort();
    times[ASKED * 95 / 100]
}

async fn searches(index: &dyn Index, tenants: i64) -> Vec<(&'static str, Duration)> {
    let tenant = |n: i64| Filter { tenant: format!("tenant-{n}"), ..Filter::default() };
    let contact = |n: i64| Filter { contact: Some(format!("contact-{n}-7")), ..tenant(n) };
    let text = |n: i64| Filter { text: Some("invoice dent".to_owned()), ..tenant(n) };
    let tag = |n: i64| Filter { tags: vec!["vip".to_owned()], ..tenant(n) };
    vec![
        ("latest", p95(index, tenants, tenant).await),
        ("contact", p95(index, tenants, contact).await),
        ("text", p95(index, tenants, text).await),
        ("tag", p95(index, tenants, tag).await),
    ]
}

#[tokio::test]
#[ignore = "measures: make catalog-scale"]
async fn searches_take_no_longer_because_there_are_more_tenants() {
    let rows: i64 = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let (few, many) = (10, (rows / PER_TENANT).max(20));
    say(format_args!("| what | {} rows | {} rows |\n|---|---|---|", few * PER_TENANT, many * PER_TENANT));
    let mut missed = Vec::new();
    for empty in both().await {
        let (name, index) = (empty.name, &*empty.index);
        let number = |tenants: i64| u32::try_from(tenants * PER_TENANT).expect("small");
        let first = store(index, 0..few).await;
        let first_bulk = bulk(&empty, number(few)).await;
        let before = searches(index, few).await;
        let second = store(index, few..many).await;
        let second_bulk = bulk(&empty, number(many)).await;
        let after = searches(index, many).await;
        say(format_args!("| {name}: ingest, rows/s | {first:.0} | {second:.0} |"));
        say(format_args!("| {name}: bulk insert, rows/s | {first_bulk:.0} | {second_bulk:.0} |"));
        for (rate, bulk) in [(first, first_bulk), (second, second_bulk)] {
            if rate < LEAST_INGEST * bulk {
                missed.push(format!("{name}: ingest is {:.2} of a bulk insert", rate / bulk));
            }
        }
        for ((what, before), (_, after)) in before.into_iter().zip(after) {
            say(format_args!("| {name}: search by {what}, p95 | {before:.1?} | {after:.1?} |"));
            if after > before.max(NOISE).mul_f64(MOST_GROWTH) {
                missed.push(format!("{name}: search by {what} grows from {before:?} to {after:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
