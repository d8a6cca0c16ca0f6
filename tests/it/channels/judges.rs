//! The providers' own SDKs as judges, in both directions: `tests/judges/channels.py`.

use std::process::Command;

use crate::support::cmd::repo_file;
use crate::support::say::no_service;

#[test]
fn the_providers_own_sdks_agree_in_both_directions() {
    let python = repo_file("target/venv-judges/bin/python");
    if !python.exists() {
        no_service("the providers' SDKs are not installed; scripts/venv.sh judges does that");
        return;
    }
    let mut judge = Command::new(python);
    judge.args(["-W", "ignore"]).arg(repo_file("tests/judges/channels.py")).arg(env!("CARGO_BIN_EXE_mediamill"));
    let output = judge.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("\n0 judged wrong"), "{text}");
}
