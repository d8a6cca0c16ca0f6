//! The fault table of webhooks in its short form: `scripts/webhook-faults.py` with few webhooks and one fault.

use std::process::Command;

use crate::support::cmd::repo_file;
use crate::support::say::no_service;

#[test]
fn no_webhook_is_lost_and_no_file_comes_twice_where_the_gateway_is_killed_again_and_again() {
    let python = repo_file("target/venv-judges/bin/python");
    if !python.exists() || !std::path::Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() {
        no_service("RabbitMQ or its client in Python is not installed; scripts/venv.sh judges installs the latter");
        return;
    }
    let mut script = Command::new(python);
    script.arg(repo_file("scripts/webhook-faults.py")).arg(env!("CARGO_BIN_EXE_mediamill"));
    let output = script.args(["--webhooks", "150", "--only", "killed ten times"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.starts_with("| gateway killed")).expect("a line of the table");
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    assert_eq!(cells[2..3], ["150"], "{line}");
    assert_eq!(cells[4..7], ["0", "0", "0"], "lost, twice, failed: {line}");
}
