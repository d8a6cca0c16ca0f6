//! `mediamill doctor --attack`: what it says of a jail that holds, and of none.

use std::collections::BTreeSet;

use crate::support::cmd::{Dir, Run};

#[test]
fn every_attempt_from_inside_the_jail_is_refused() {
    let dir = Dir::new();
    let lines = Run::of(dir.command().args(["doctor", "--attack", "--format", "json"])).exits(0).json_lines();
    assert!(lines.len() >= 50, "{} attempts", lines.len());
    let bad: Vec<_> = lines.iter().filter(|line| line["refused"] != true).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let areas: BTreeSet<_> = lines.iter().filter_map(|line| line["area"].as_str()).collect();
    let expected = ["devices", "files", "kernel", "memory", "network", "privileges", "processes", "quotas", "signals"];
    assert_eq!(areas, BTreeSet::from(expected));
    // Each by the answer that it was made for: a quota by that quota.
    for line in lines.iter().filter(|line| line["area"] == "quotas") {
        assert!(line["found"].as_str().is_some_and(|found| found.starts_with("the child was ended at ")), "{line}");
    }
}

#[test]
fn without_a_jail_nothing_is_attempted() {
    let dir = Dir::new();
    let run = Run::of(dir.command().args(["doctor", "--attack", "--set", "sandbox.mode=off"])).exits(1);
    assert!(run.stdout.is_empty() && run.stderr.contains("there is no jail to attack"), "{}{}", run.stdout, run.stderr);
}
