//! An encoder that was taken over, for real: a substituted library runs payloads inside the jail of the program under
//! test, through the whole story of a job. What each of them may come to is in one table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::cmd::{Dir, Run, repo_file};

/// Payload, outcome, code. A crash, a broken protocol or a refused report has a second try, and rejects the file then; an answer
/// that blames the machine fails.
const PAYLOADS: [(&str, &str, &str); 24] = [
    ("none-of-these", "rejected", "media.crashed-decoder"),
    ("fill", "rejected", "media.limit-scratch"),
    ("fill-and-done", "rejected", "media.limit-scratch"),
    ("fallocate", "rejected", "media.sandbox-violation"),
    ("files", "rejected", "media.sandbox-violation"),
    ("files-and-done", "rejected", "media.sandbox-violation"),
    ("threads", "rejected", "media.sandbox-violation"),
    ("tmpfile", "rejected", "media.sandbox-violation"),
    ("o-path", "rejected", "media.sandbox-violation"),
    ("html", "rejected", "worker.sandbox"),
    ("nothing", "rejected", "worker.sandbox"),
    ("junk", "rejected", "worker.sandbox"),
    ("sparse", "rejected", "worker.sandbox"),
    ("broken-code", "failed", "worker.sandbox"),
    ("transient-code", "rejected", "worker.sandbox"),
    ("talk", "rejected", "media.unreadable"),
    ("linger", "rejected", "media.sandbox-violation"),
    ("linger-asleep", "rejected", "worker.sandbox"),
    ("exit-code", "rejected", "worker.sandbox"),
    ("progress-flood", "rejected", "worker.sandbox"),
    ("progress-huge", "rejected", "worker.sandbox"),
    ("segv", "rejected", "media.crashed-decoder"),
    ("lies", "normalized", ""),
    ("", "normalized", ""),
];

/// The real library, as the loader finds it for the program under test.
fn real_lame() -> PathBuf {
    let run = Run::of(Command::new("ldd").arg(env!("CARGO_BIN_EXE_mediamill"))).exits(0);
    let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix("libmp3lame.so.0 => "));
    PathBuf::from(line.and_then(|line| line.split(' ').next()).expect("libavcodec has LAME"))
}

/// A folder with the substitute, and with the real library under a name that does not stand in the substitute's way.
fn substitute(dir: &Path) {
    let (name, other) = (b"libmp3lame.so.0", b"libmp3lamX.so.0");
    let mut real = std::fs::read(real_lame()).expect("the real library");
    let places: Vec<usize> = (0..real.len() - name.len()).filter(|at| real[*at..].starts_with(name)).collect();
    assert!(!places.is_empty(), "it does not say its name");
    places.into_iter().for_each(|at| real[at..at + other.len()].copy_from_slice(other));
    let renamed = dir.join("libmp3lamX.so.0");
    std::fs::write(&renamed, real).expect("written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    // The substitute names nothing of the real library, and must have it loaded all the same.
    cc.args(["-Wl,--no-as-needed,-soname,libmp3lame.so.0", "-o"]);
    cc.arg(dir.join("libmp3lame.so.0")).arg(repo_file("tests/it/hijack/lame.c")).arg(&renamed);
    Run::of(&mut cc).exits(0);
}

#[test]
fn a_child_that_was_taken_over_gains_nothing() {
    let dir = Dir::new();
    let libraries = dir.path().join("libraries");
    std::fs::create_dir(&libraries).expect("a folder");
    substitute(&libraries);
    let sound = std::fs::read(repo_file("fixtures/voice-note.ogg")).expect("a fixture");
    for (payload, ..) in PAYLOADS {
        let tail = if payload.is_empty() { String::new() } else { format!("EVIL:{payload}") };
        dir.write(format!("files/{payload}.ogg"), [&sound[..], tail.as_bytes()].concat());
    }
    let mut normalize = dir.command();
    normalize.env("LD_LIBRARY_PATH", &libraries).args(["normalize", "files", "--out", "out", "--format", "json"]);
    for limit in ["output_bytes=67108864", "scratch_bytes=268435456", "memory_bytes=1610612736"] {
        normalize.args(["--set", &format!("limits.{limit}")]);
    }
    let lines = Run::of(&mut normalize).exits(1).json_lines();
    let name = |line: &Value| {
        let path = PathBuf::from(line["input"].as_str().expect("a path"));
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".ogg")).map(str::to_owned)
    };
    let found: BTreeMap<String, &Value> = lines.iter().map(|line| (name(line).expect("a name"), line)).collect();
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let outcomes: BTreeMap<&str, (String, String)> =
        found.iter().map(|(name, line)| (name.as_str(), (word(line, "outcome"), word(line, "code")))).collect();
    let expected: BTreeMap<&str, (String, String)> =
        PAYLOADS.into_iter().map(|(payload, outcome, code)| (payload, (outcome.to_owned(), code.to_owned()))).collect();
    assert_eq!(outcomes, expected, "{lines:#?}");

    // What the worker says of itself is what it knows, whatever the child says.
    let (honest, lies) = (found[""], found["lies"]);
    assert_eq!(lies["worker"], honest["worker"]);
    assert_eq!(honest["worker"]["sandbox"]["mode"], "required");
    // A way out for text is short and printable.
    let talk = word(found["talk"], "explanation");
    assert!(talk.len() <= 300 && talk.starts_with("?]0;x"), "{talk}");
    let left = std::fs::read_dir(dir.path().join("out/local")).expect("results").count();
    assert_eq!(left, 2, "only what was normalized is stored");
}
