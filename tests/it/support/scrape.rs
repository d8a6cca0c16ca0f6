//! What a worker says over HTTP, read as Prometheus and a kubelet read it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mediamill::cli::ask;
use serde_json::Value;

use super::bus::block_on;
use super::processes::wait_until;
use super::worker::Worker;

/// One line of `/metrics`.
#[derive(Debug, Clone)]
pub struct Sample {
    /// With `_total`, `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

/// All lines of `/metrics`.
pub struct Scrape {
    /// As it was said.
    pub text: String,
    /// Without comments.
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Asks for it.
    pub fn of(worker: &Worker) -> Self {
        let (well, text) = get(worker, "/metrics");
        assert!(well, "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(sample).collect();
        Self { text, samples }
    }

    /// The sum of the samples of a name with at least these labels; nothing where there are none.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            let same = |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|it| it == value);
            sample.name == name && labels.iter().all(same)
        };
        self.samples.iter().filter(has).map(|sample| sample.value).reduce(|sum, value| sum + value)
    }

    /// As [`Scrape::get`], where there are some.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.text))
    }
}

/// Where it listens: it was told to take any port.
#[track_caller]
pub fn address(worker: &Worker) -> SocketAddr {
    let mut found = None;
    wait_until("an address", || {
        let log = worker.log();
        let line = log.lines().find(|line| line.contains("health and metrics over HTTP"));
        let line = line.and_then(|line| serde_json::from_str::<Value>(line).ok());
        found = line.and_then(|line| line["address"].as_str()?.parse().ok());
        found.is_some()
    });
    found.expect("waited for")
}

/// Whether the answer was 200, and its text.
#[track_caller]
pub fn get(worker: &Worker, path: &str) -> (bool, String) {
    block_on(ask(address(worker), path)).expect("an answer")
}

/// What is wrong by `/readyz`: names of parts with what it says of them.
#[track_caller]
pub fn troubles(worker: &Worker) -> BTreeMap<String, String> {
    let (well, text) = get(worker, "/readyz");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["ready"], well, "{text}");
    let parts = answer["parts"].as_object().expect("parts");
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["lanes", "broker", "store", "sandbox", "scratch"]);
    let said = parts.iter().map(|(name, said)| (name.clone(), said.as_str().expect("text").to_owned()));
    let troubles: BTreeMap<_, _> = said.filter(|(_, said)| said != "ok").collect();
    assert_eq!(troubles.is_empty(), well, "{text}");
    troubles
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    // None of our label values has a comma or a quotation mark.
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').expect("a label"));
    let labels = pairs.map(|(label, value)| (label.to_owned(), value.trim_matches('"').to_owned())).collect();
    Sample { name: name.to_owned(), labels, value: value.parse().expect("a number") }
}
