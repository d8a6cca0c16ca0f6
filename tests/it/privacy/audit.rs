//! The audit log, verified by this program and by Go's packages for transparency logs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::steps::{normalized, world};
use super::world::{fed, files};
use crate::support::cmd::{Dir, Run, repo_file};
use crate::support::say::no_service;

/// Where Debian's golang-golang-x-mod-dev puts its packages.
const GO_PACKAGES: &str = "/usr/share/gocode";

/// Go's verifier, built once; nothing where it is not installed.
pub(crate) fn go(dir: &Dir) -> Option<PathBuf> {
    let packages = Path::new(GO_PACKAGES).join("src/golang.org/x/mod/sumdb/tlog");
    if !packages.is_dir() {
        no_service("Go or golang-golang-x-mod-dev is not installed");
        return None;
    }
    let program = dir.path().join("verifier");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(repo_file("tests/judges/audit.go"));
    build.envs([("GO111MODULE", "off"), ("GOPATH", GO_PACKAGES), ("GOFLAGS", "")]);
    Run::of(build.env("GOCACHE", dir.path().join("cache"))).exits(0);
    Some(program)
}

/// The log after three erasures: six entries and three checkpoints.
fn log_of(dir: &Dir) -> (PathBuf, impl Fn(&[&str]) -> Command, String) {
    let (_, command) = world(dir);
    let store = dir.path().join("store");
    for n in 0..3 {
        normalized(&store, &format!("m{n}"), &format!("+1555010{n}"), "a caption");
        fed(command(&["erase", "--tenant", "acme", "--offline"]), &format!("phone=+1555010{n}\n")).exits(0);
    }
    let key = Run::of(&mut command(&["audit", "key"])).exits(0).stdout.trim().to_owned();
    (store.join(".catalog/audit"), command, key)
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut all = files(folder);
    all.sort_unstable();
    all
}

#[test]
fn a_changed_byte_a_gap_and_a_cut_tail_are_noticed_by_us_and_by_go() {
    let tools = Dir::new();
    let Some(go) = go(&tools) else { return };
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).expect("readable");
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    let remove = |path: &Path| std::fs::remove_file(path).expect("removed");
    for change in ["none", "an entry", "a checkpoint", "a gap", "a cut tail", "a line less"] {
        let dir = Dir::new();
        let (log, command, key) = log_of(&dir);
        let (entries, checkpoints) = (sorted(&log.join("entries")), sorted(&log.join("checkpoints")));
        assert_eq!((entries.len(), checkpoints.len()), (6, 3), "{entries:?}");
        match change {
            "an entry" => flip(&entries[2]),
            "a checkpoint" => flip(&checkpoints[1]),
            "a gap" => remove(&entries[2]),
            "a cut tail" => remove(&entries[5]),
            "a line less" => std::fs::write(&entries[5], "").expect("written"),
            _ => {}
        }
        let ours = Run::of(&mut command(&["audit", "verify"]));
        let theirs = Run::of(Command::new(&go).arg(&log).arg(&key));
        let expected = i32::from(change != "none");
        assert_eq!((ours.code, theirs.code), (Some(expected), Some(expected)), "{change}: {ours:?} {theirs:?}");
        if change == "none" {
            assert_eq!(theirs.stdout, "6 entries, 3 checkpoints\n");
            assert!(ours.stdout.contains("6 entries, 6 of them signed, 3 checkpoints"), "{ours:?}");
        }
    }
}

#[test]
fn a_checkpoint_that_was_kept_elsewhere_finds_a_tail_that_was_cut_with_its_checkpoint() {
    let dir = Dir::new();
    let (log, command, key) = log_of(&dir);
    let kept = sorted(&log.join("checkpoints")).remove(2);
    let elsewhere = dir.write("kept", std::fs::read(&kept).expect("readable")).display().to_string();
    let verify = ["audit", "verify", "--key", &key];
    Run::of(&mut command(&[&verify[..], &["--against", &elsewhere]].concat())).exits(0);
    std::fs::remove_file(kept).expect("removed");
    for entry in &sorted(&log.join("entries"))[4..] {
        std::fs::remove_file(entry).expect("removed");
    }
    Run::of(&mut command(&verify)).exits(0);
    let run = Run::of(&mut command(&[&verify[..], &["--against", &elsewhere]].concat())).exits(1);
    assert!(run.stdout.contains("signs 6 entries, and there are 4: the tail is cut off"), "{run:?}");
}
