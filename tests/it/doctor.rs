//! `mediamill doctor` where things are missing, and where they are there.

use serde_json::Value;

use crate::support::cmd::{Dir, Run};
use crate::support::rabbit;

/// Looks, with a store of its own and nobody at the broker's address.
fn doctor(dir: &Dir, more: &[&str]) -> Run {
    let store = format!("store.url=file://{}", dir.path().display());
    let settings = ["--set", &store, "--set", "broker.url=amqp://u:hunter2@127.0.0.1:1/v", "--format", "json"];
    Run::of(dir.command().arg("doctor").args(settings).args(more))
}

#[track_caller]
fn state<'a>(lines: &'a [Value], what: &str) -> &'a str {
    let line = lines.iter().find(|line| line["what"] == what).unwrap_or_else(|| panic!("nothing about {what}"));
    line["state"].as_str().expect("a state")
}

#[test]
fn each_part_has_a_line_and_a_missing_broker_is_told_without_its_password() {
    let dir = Dir::new();
    let run = doctor(&dir, &[]).exits(1);
    let lines = run.json_lines();
    for what in
        ["config", "profiles", "scratch", "sandbox", "libav", "encoders", "filters", "demuxers", "decoders", "store"]
    {
        assert_eq!(state(&lines, what), "ok", "{}", run.stdout);
    }
    assert_eq!(state(&lines, "broker"), "bad");
    let broker = lines.iter().find(|line| line["what"] == "broker").expect("a line");
    assert!(broker["advice"].as_str().is_some_and(|advice| advice.contains("broker.url")), "{broker}");
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"));
    let libav = lines.iter().find(|line| line["what"] == "libav").expect("a line");
    assert!(libav["found"].as_str().is_some_and(|found| found.contains("libavcodec ")), "{libav}");
}

#[test]
fn what_is_wrong_is_named() {
    let dir = Dir::new();
    let lines = doctor(&dir, &["--set", "store.url=file:///nonexistent/store"]).exits(1).json_lines();
    assert_eq!(state(&lines, "store"), "bad");
    let lines = doctor(&dir, &["--set", "worker.profile=none"]).exits(1).json_lines();
    assert_eq!(state(&lines, "profiles"), "bad");
    let lines = doctor(&dir, &["--set", "worker.scratch_min_free_bytes=4611686018427387904"]).exits(1).json_lines();
    assert_eq!(state(&lines, "scratch"), "bad");
    let lines = doctor(&dir, &["--set", "sandbox.mode=off"]).exits(1).json_lines();
    assert_eq!(state(&lines, "sandbox"), "lacking");
    let run = doctor(&dir, &["--set", "limits.wall=1"]).exits(1);
    assert_eq!(run.json_lines().len(), 1, "{}", run.stdout);
    assert!(run.stdout.contains("limits.wall: no such key"), "{}", run.stdout);
}

#[test]
fn where_nothing_is_missing_a_worker_could_run() {
    let Some(rabbit) = rabbit::calm() else { return };
    let (dir, broker) = (Dir::new(), format!("broker.url={}", rabbit.url()));
    let settings = ["--set", &broker, "--set", "broker.exchange=doctor"];
    let policy = r#"{"alternate-exchange":"doctor.unrouted"}"#;
    rabbit.ctl(&["set_policy", "--apply-to", "exchanges", "doctor-unrouted", "^doctor$", policy]);
    let lines = doctor(&dir, &settings).exits(0).json_lines();
    assert!(lines.iter().all(|line| line["state"] == "ok"), "{lines:#?}");
}
