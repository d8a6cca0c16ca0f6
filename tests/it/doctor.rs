//! `mediamill doctor` where things are missing, and where they are there.

use std::process::Command;

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

/// Runs the program as somebody who may not raise limits, with one hard limit set so low.
fn limited(limit: &str, arguments: &[&str]) -> Run {
    let dir = Dir::new();
    let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), anybody).expect("permissions");
    let mut command = Command::new("prlimit");
    command.arg(limit);
    if rustix::process::geteuid().is_root() {
        command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command.arg(env!("CARGO_BIN_EXE_mediamill")).args(arguments).current_dir(dir.path()).env_clear();
    let settings = ["store.url=file:///nonexistent/store", "broker.url=amqp://127.0.0.1:1/v"];
    for setting in settings {
        command.args(["--set", setting]);
    }
    Run::of(&mut command)
}

/// The limit, and what is said of it: the limits of the default configuration are above.
const LOW: [(&str, &str); 4] = [
    ("--cpu=100", "the hard limit RLIMIT_CPU is 100 here, and 905 are needed (limits.cpu_s"),
    ("--fsize=1024000", "the hard limit RLIMIT_FSIZE is 1024000 here, and 6442450944 are needed (limits.output_bytes)"),
    ("--as=2560000000", "the hard limit RLIMIT_AS is 2560000000 here, and 3221225472 are needed (limits.memory_bytes)"),
    ("--nofile=40", "the hard limit RLIMIT_NOFILE is 40 here, and 64 are needed"),
];

#[test]
fn a_hard_limit_below_the_configuration_is_named() {
    for (limit, text) in LOW {
        let run = limited(limit, &["doctor", "--format", "json"]).exits(1);
        let lines = run.json_lines();
        assert_eq!(state(&lines, "sandbox"), "bad", "{limit}");
        let sandbox = lines.iter().find(|line| line["what"] == "sandbox").expect("a line");
        assert!(sandbox["found"].as_str().is_some_and(|found| found.contains(text)), "{sandbox}");
        assert!(sandbox["advice"].as_str().is_some_and(|advice| advice.contains("ulimit")), "{sandbox}");
    }
    // The limits that are asked for, and not others: a configuration that needs no more is content.
    let lines = limited("--cpu=100", &["doctor", "--format", "json", "--set", "limits.cpu_s=95"]).exits(1).json_lines();
    assert_eq!(state(&lines, "sandbox"), "ok");
}

#[test]
fn a_worker_with_a_hard_limit_below_the_configuration_takes_nothing() {
    for (limit, text) in LOW {
        let run = limited(limit, &["worker"]).exits(1);
        assert!(run.stdout.contains(text) || run.stderr.contains(text), "{limit}: {run:?}");
        assert!(!run.stdout.contains("consuming") && !run.stderr.contains("consuming"), "{run:?}");
    }
}

#[test]
fn a_proc_that_cannot_be_written_is_named() {
    let dir = Dir::new();
    let store = format!("store.url=file://{}", dir.path().display());
    let read_only = r#"mount -o remount,ro,bind /proc && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["-rm", "/bin/sh", "-c", read_only, "sh", env!("CARGO_BIN_EXE_mediamill"), "doctor"]).env_clear();
    command.args(["--format", "json", "--set", &store, "--set", "broker.url=amqp://127.0.0.1:1/v"]);
    let lines = Run::of(&mut command).exits(1).json_lines();
    assert_eq!(state(&lines, "sandbox"), "bad");
    let sandbox = lines.iter().find(|line| line["what"] == "sandbox").expect("a line");
    assert!(sandbox["found"].as_str().is_some_and(|found| found.contains("/proc/self/oom_score_adj")), "{sandbox}");
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
