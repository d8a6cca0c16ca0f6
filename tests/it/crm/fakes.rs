//! `tests/crm`: each fake has the quirks of its CRM, and independent clients get along with it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::cmd::{Run, repo_file};
use crate::support::crm::Crm;
use crate::support::say::no_service;

#[track_caller]
fn agrees(python: &Path, script: &str) {
    let run = Run::of(Command::new(python).args(["-B", "-W", "ignore"]).arg(repo_file(script)));
    assert!(run.stdout.contains("\n0 judged wrong"), "{}{}", run.stdout, run.stderr);
    run.exits(0);
}

#[track_caller]
fn has_its_quirks(name: &str) {
    agrees(Path::new("/usr/bin/python3"), &format!("tests/crm/check_{name}.py"));
}

#[track_caller]
fn is_judged(name: &str) {
    let python = repo_file("target/venv-crm/bin/python");
    if !python.exists() {
        no_service("the clients of CRMs are not installed; scripts/venv.sh crm does that");
        return;
    }
    agrees(&python, &format!("tests/judges/crm_{name}.py"));
}

#[test]
fn the_fault_plan_does_what_it_says() {
    has_its_quirks("faults");
}

#[test]
fn hubspot_has_its_quirks() {
    has_its_quirks("hubspot");
}

#[test]
fn hubspots_own_client_gets_along_with_the_fake() {
    is_judged("hubspot");
}

#[test]
fn salesforce_has_its_quirks() {
    has_its_quirks("salesforce");
}

#[test]
fn simple_salesforce_gets_along_with_salesforces_fake() {
    is_judged("salesforce");
}

#[test]
fn zendesk_has_its_quirks() {
    has_its_quirks("zendesk");
}

#[test]
fn zdesk_gets_along_with_zendesks_fake() {
    is_judged("zendesk");
}

#[test]
fn zoho_has_its_quirks() {
    has_its_quirks("zoho");
}

#[test]
fn zohos_own_client_gets_along_with_the_fake() {
    is_judged("zoho");
}

#[test]
fn chatwoot_has_its_quirks() {
    has_its_quirks("chatwoot");
}

#[test]
fn chatwoot_sdk_gets_along_with_chatwoots_fake() {
    is_judged("chatwoot");
}

/// What the tests of `deliver` stand on.
#[test]
fn a_fake_tells_what_was_asked_and_what_it_has() {
    let crm = Crm::start("hubspot");
    assert_eq!(crm.url(), format!("http://{}", crm.authority()));
    let contact = crm.act(json!({"act": "create", "type": "contacts", "properties": {"email": "ann@example.test"}}));
    assert_eq!(crm.state()["objects"]["contacts"][0]["id"], contact["id"]);
    crm.faults(
        json!([{"fault": "hold-before", "path": "contacts"}, {"fault": "status", "status": 401, "path": "tickets"}]),
    );
    let authority = crm.authority().to_owned();
    let held = std::thread::spawn(move || ask(&authority, "contacts"));
    crm.wait_held();
    assert!(ask(crm.authority(), "tickets").starts_with("HTTP/1.1 401 "));
    crm.release();
    assert!(held.join().expect("an answer").starts_with("HTTP/1.1 401 "), "it has no key");
    let calls = crm.calls();
    assert_eq!(
        calls.iter().map(|call| call.fault.as_deref()).collect::<Vec<_>>(),
        [Some("status"), Some("hold-before")]
    );
    assert!(calls.iter().all(|call| (call.method.as_str(), call.status, call.units) == ("GET", 401, 1)));
    assert_eq!(calls[1].path, "/crm/objects/2026-03/contacts");
    crm.forget_calls();
    assert_eq!(crm.calls(), []);
}

fn ask(authority: &str, what: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(authority).expect("it listens");
    let request = format!("GET /crm/objects/2026-03/{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
