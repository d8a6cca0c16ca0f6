//! The documents compared with the program: every table and every example in them is what the code has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use mediamill::config::{self, DEFAULT_TOML, Profiles};
use mediamill::error::Code;
use mediamill::events::{Event, Headers, NORMALIZED_TYPE, Normalized, REJECTED_TYPE, Rejected};
use mediamill::plan::{ACCEPTED, AUDIO_CODECS, CODECS, Reader, VIDEO_CODECS};
use mediamill::profile_lab::record::{ClassPrices, Cost, Prices};
use mediamill::roles::worker::{Job, METRICS, Parts, Pipeline, Room, Workspace};
use mediamill::sandbox::{Sandbox, SandboxOptions};
use mediamill::source::Sources;
use mediamill::store::Store;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::cmd::{Dir, repo_file};
use crate::support::jail;

/// A document as text; the name is relative to the root of the repository.
#[track_caller]
fn document(file: &str) -> String {
    std::fs::read_to_string(repo_file(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The text of a document from a heading of the second level to the next one.
#[track_caller]
fn section(file: &str, title: &str) -> String {
    let text = document(file);
    let at = text.find(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{file} has no section {title:?}"));
    let text = &text[at + 1..];
    text[..text[3..].find("\n## ").map_or(text.len(), |end| end + 3)].to_owned()
}

/// The cells of every table row of a section whose first cell is code, without the code marks of that cell.
#[track_caller]
fn rows(file: &str, title: &str) -> Vec<Vec<String>> {
    let section = section(file, title);
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

fn code(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// Compares two tables, and shows the right one where they differ.
#[track_caller]
fn assert_table(file: &str, title: &str, expected: &[String]) {
    let section = section(file, title);
    let found: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(found == expected, "the table of {title:?} in {file} should be\n{}", expected.join("\n"));
}

/// Every key of a table and of the tables in it, with its default. An empty table is a default itself.
fn collect_keys(path: &str, table: &toml::Table, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value.as_table() {
            Some(inner) if !inner.is_empty() => collect_keys(&dotted, inner, keys),
            _ => drop(keys.insert(dotted, value.to_string())),
        }
    }
}

#[test]
fn every_configuration_key_is_there_with_its_default() {
    let defaults: toml::Table = DEFAULT_TOML.parse().expect("TOML");
    let mut expected = BTreeMap::new();
    collect_keys("", &defaults, &mut expected);
    let rows = rows("docs/configuration.md", "Keys");
    let found: BTreeMap<String, String> =
        rows.iter().map(|row| (code(&row[0]).to_owned(), code(&row[1]).to_owned())).collect();
    assert_eq!(found, expected);
    assert_eq!(rows.len(), expected.len(), "a key twice");
    assert!(rows.iter().all(|row| row.len() == 3 && !row[2].is_empty()), "a key without its meaning");
}

#[test]
fn every_key_and_figure_of_prices_is_there() {
    let fields = |schema: schemars::Schema| -> Vec<String> {
        let properties = schema.as_object().and_then(|schema| schema["properties"].as_object()).expect("properties");
        properties.keys().cloned().collect()
    };
    let keys = [fields(schemars::schema_for!(Prices)), fields(schemars::schema_for!(ClassPrices))].concat();
    // How long, and how many bytes: no money.
    let money = |figure: &String| !["days", "billed_bytes_per_media"].contains(&figure.as_str());
    let figures = fields(schemars::schema_for!(Cost)).into_iter().filter(money);
    let expected: BTreeSet<String> = keys.into_iter().chain(figures).collect();
    let found: Vec<String> = rows("docs/profiles.md", "Prices").iter().map(|row| code(&row[0]).to_owned()).collect();
    assert_eq!(found.len(), expected.len(), "a key twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_code_is_there_with_its_meaning() {
    let expected: Vec<String> = Code::ALL.iter().map(|code| format!("| `{code}` | {} |", code.meaning())).collect();
    assert_table("docs/events.md", "Codes", &expected);
}

#[test]
fn every_code_of_a_delivery_is_there_with_its_action() {
    let actions = mediamill::roles::deliver::codes::ACTIONS;
    let expected: Vec<String> = actions.iter().map(|(code, action)| format!("| `{code}` | {action} |")).collect();
    assert_table("docs/deliver/README.md", "Codes", &expected);
}

#[test]
fn every_container_and_codec_is_there() {
    let containers = ACCEPTED.iter().map(|row| {
        let reader = match row.reader {
            Reader::Demuxer(name) => format!("demuxer {name}"),
            Reader::Still(name) => format!("decoder {name}"),
            Reader::Items(name) => format!("its items, or else demuxer {name}"),
            Reader::None => "header only".to_owned(),
        };
        let holds = match (row.video, row.audio) {
            (video, audio) if video == VIDEO_CODECS && audio == AUDIO_CODECS => "every codec below".to_owned(),
            ([], []) => "–".to_owned(),
            (video, audio) => video.iter().chain(audio).copied().collect::<Vec<_>>().join(", "),
        };
        format!("| `{}` | {reader} | {holds} |", row.name)
    });
    let codecs = CODECS.iter().map(|codec| {
        let of = if codec.is_picture { "pictures" } else { "sound" };
        format!("| `{}` | {of} | {} |", codec.name, codec.known.text())
    });
    assert_table("docs/formats.md", "What is accepted", &containers.chain(codecs).collect::<Vec<_>>());
}

#[test]
fn every_limit_is_there_with_its_code() {
    let limits = serde_json::to_value(config::load(None, [], &[]).expect("defaults").limits).expect("JSON");
    let rows = rows("docs/profiles.md", "Limits");
    let keys: Vec<&str> = rows.iter().map(|row| code(&row[0])).collect();
    let expected: Vec<String> =
        limits.as_object().expect("an object").keys().map(|key| format!("limits.{key}")).collect();
    assert_eq!(keys, expected);
    for row in &rows {
        assert!(Code::parse(code(&row[1])).is_some(), "{} is no code", row[1]);
        let meaning = Code::parse(code(&row[1])).expect("a code").meaning();
        assert!(meaning.contains(code(&row[0])) || meaning.contains("memory"), "{row:?}: {meaning}");
    }
}

#[test]
fn every_profile_is_there() {
    let profiles = Profiles::load(Path::new("")).expect("the built-in profiles");
    let expected: Vec<String> =
        profiles.iter().map(|p| format!("| `{}` | {} |", p.raw.name, p.raw.description)).collect();
    assert_table("docs/profiles.md", "Built-in profiles", &expected);
}

#[test]
fn every_metric_is_there() {
    let expected: Vec<String> = METRICS
        .iter()
        .chain(mediamill::roles::gateway::METRICS.iter())
        .chain(mediamill::roles::deliver::METRICS.iter())
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            format!("| `{}` | {} | {labels} | {} |", metric.name, metric.kind, metric.help)
        })
        .collect();
    assert_table("docs/operations.md", "Metrics", &expected);
}

#[test]
fn commands_and_exit_codes_are_those_of_the_help() {
    let help = Dir::new().run(["--help"]).exits(0).stdout;
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    let mut expected: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    expected.retain(|name| *name != "help");
    let rows = rows("docs/operations.md", "Commands");
    let mut found: Vec<&str> = rows.iter().filter_map(|row| code(&row[0]).split(' ').next()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let help = help.split("Exit codes: ").nth(1).expect("exit codes").trim().trim_end_matches('.');
    let numbers: Vec<&str> = help.split(", ").filter_map(|code| code.split(' ').next()).collect();
    let found: Vec<String> =
        self::rows("docs/operations.md", "Exit codes").iter().map(|row| code(&row[0]).to_owned()).collect();
    assert_eq!(found, numbers);
}

/// The JSON blocks of a document.
#[track_caller]
fn examples(file: &str) -> Vec<Value> {
    let text = document(file);
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| serde_json::from_str(block).expect(block)).collect()
}

fn decoded(example: &Value) -> Event {
    let body = serde_json::to_vec(example).expect("JSON");
    Event::decode(Some("application/cloudevents+json"), &Headers::new(), &body).expect("a CloudEvent")
}

/// Does what the received example asks for, with a fixture in the place of its origin, and asks for the outcome event.
async fn outcome_of(example: &Value, fixture: &str) -> Value {
    let dir = Dir::new();
    let config = config::load(None, [], &[]).expect("defaults");
    let store = Store::local(dir.path());
    let parts = Parts {
        sources: Sources::new(&config, &store).expect("sources"),
        store,
        sandbox: Sandbox::start(SandboxOptions { ..jail::options() }).expect("a sandbox"),
        profiles: Profiles::load(Path::new("")).expect("profiles"),
        workspace: Workspace::open(dir.path(), Room { min_free_bytes: 0, max_bytes: 0 }).expect("scratch space"),
    };
    let event = decoded(example);
    let received = event.received().expect("the data of a received event");
    let job = Job::new(event.id.clone(), event.timestamp(), received, 0);
    let job = Job { local: Some(repo_file("fixtures").join(fixture)), ..job };
    let outcome = Pipeline::new(&config, parts, 1).run_at_once(&job, |_| ()).await;
    let said = outcome.event("mediamill", event.trace.clone());
    serde_json::from_slice(&said.to_structured()).expect("JSON")
}

/// Takes out what differs from run to run, and between versions of libav.
fn steady(value: &Value) -> Value {
    let varies = ["time", "timings_ms", "worker", "gain_db", "loudness", "bytes_after", "bit_rate"];
    match value {
        Value::Object(map) => {
            // The figures of an encoded asset are the encoder's.
            let made = map.get("role").is_some_and(|role| role != "original");
            let is_peaks = map.contains_key("samples_per_pixel");
            let keep = |key: &str| {
                !(varies.contains(&key)
                    || (made && ["size_bytes", "sha256", "key"].contains(&key))
                    || (is_peaks && key == "data"))
            };
            map.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key.clone(), steady(value))).collect()
        }
        Value::Array(items) => items.iter().map(steady).collect(),
        other => other.clone(),
    }
}

/// The same names at the same places.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        // The page has the beginning of the peaks only.
        Value::Array(items) if items.iter().all(Value::is_i64) => Value::Null,
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_are_what_goes_in_and_comes_out() {
    let examples = examples("docs/events.md");
    let [received, normalized, rejected] = &examples[..] else { panic!("{} examples", examples.len()) };

    let declared = decoded(received).received().expect("data").declared.expect("declared");
    let voice_note = std::fs::read(repo_file("fixtures/voice-note.ogg")).expect("a fixture");
    assert_eq!(declared.size_bytes, Some(voice_note.len() as u64));
    let sha256 = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&voice_note));
    assert_eq!(declared.sha256, Some(sha256));

    let said = Box::pin(outcome_of(received, "voice-note.ogg")).await;
    let same = steady(&said) == steady(normalized) && shape(&said) == shape(normalized);
    assert!(same, "the normalized example should be\n{said:#}");
    let values = |event: &Value| event["data"]["peaks"]["data"].as_array().map_or(0, Vec::len);
    assert_eq!(Some(values(&said) as u64), said["data"]["peaks"]["length"].as_u64().map(|pairs| 2 * pairs));
    assert!((2..=16).contains(&values(normalized)), "the example has a few");
    let event = decoded(normalized);
    assert_eq!(event.kind, NORMALIZED_TYPE);
    serde_json::from_value::<Normalized>(event.data).expect("the data of a normalized event");

    let said = Box::pin(outcome_of(received, "garbage.bin")).await;
    let same = steady(&said) == steady(rejected) && shape(&said) == shape(rejected);
    assert!(same, "the rejected example should be\n{said:#}");
    let event = decoded(rejected);
    assert_eq!(event.kind, REJECTED_TYPE);
    serde_json::from_value::<Rejected>(event.data).expect("the data of a rejected event");
}

/// Whether everything that is in `part` is in `whole` at the same place.
fn is_part_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part_of(value, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part_of(part, whole))
        }
        (part, whole) => part == whole,
    }
}

#[test]
fn the_short_examples_of_the_readme_are_parts_of_the_complete_ones() {
    let (short, complete) = (examples("README.md"), examples("docs/events.md"));
    assert_eq!(short.len(), 2, "one event in, one out");
    for (short, complete) in short.iter().zip(&complete) {
        assert!(is_part_of(short, complete), "{short:#} is not part of {complete:#}");
    }
    decoded(&short[0]).received().expect("a request that a worker accepts");
}

#[test]
fn the_readme_is_short() {
    let lines = document("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines: move details to docs/");
}
