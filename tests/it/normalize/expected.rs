//! What ffprobe and ffmpeg say that should come of each file of the corpus: `tests/corpus/expected.tsv`, which
//! `tests/corpus/oracle.py` writes without asking mediamill.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::asset;

/// Lengths may differ by so much, in ms.
const TOLERANCE_MS: u64 = 50;

type Row = BTreeMap<&'static str, &'static str>;

/// The expectations by path below the corpus.
pub fn rows() -> BTreeMap<&'static str, Row> {
    let mut lines = include_str!("../../corpus/expected.tsv").lines();
    let columns: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    lines
        .map(|line| {
            let row: Row =
                columns.iter().copied().zip(line.split('\t')).filter(|(_, value)| !value.is_empty()).collect();
            (row["path"], row)
        })
        .collect()
}

/// How an outcome differs from its expectation, a line each.
pub fn differences(row: &Row, outcome: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, seen: &str, wanted: Option<&&str>| {
        if let Some(wanted) = wanted.filter(|wanted| !wanted.split('|').any(|one| one == seen)) {
            differences.push(format!("{what} is {seen} instead of {wanted}"));
        }
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if outcome["outcome"] != "normalized" {
        compare("outcome", &text(&outcome["outcome"]), row.get("action"));
        return differences;
    }
    compare("kind", &text(&outcome["kind"]), row.get("kind"));
    compare("action", &text(&outcome["decision"]["action"]), row.get("action"));
    if let Some((_, playback)) = asset(Path::new(""), outcome, "playback") {
        let codecs = playback["codecs"].as_array().map_or(&[][..], Vec::as_slice);
        let codecs: Vec<&str> = codecs.iter().filter_map(Value::as_str).collect();
        compare("codec", &codecs.join("+"), row.get("codecs"));
        compare("width", &text(&playback["width"]), row.get("width"));
        compare("height", &text(&playback["height"]), row.get("height"));
    }
    if let Some(wanted) = row.get("duration_ms").and_then(|ms| ms.parse::<u64>().ok()) {
        let seen = outcome["original"]["duration_ms"].as_u64().unwrap_or(0);
        if seen.abs_diff(wanted) > TOLERANCE_MS {
            differences.push(format!("length is {seen} ms instead of {wanted} ms"));
        }
    }
    differences
}
