//! Schemathesis, a fuzzer that is not ours, over the OpenAPI document that the catalogue serves.

use std::path::Path;
use std::process::Command;

use mediamill::privacy::audit::{Action, entries};
use serde_json::json;

use super::office::{declare, desk, rig, run};
use super::{Desk, token};
use crate::support::cmd::repo_file;
use crate::support::rabbit::calm;
use crate::support::say::no_service;

/// Answers that the document does not name, bodies of another shape than it says, accepted nonsense, crashes, and what is let in
/// without a token.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth,\
                      unsupported_method";

#[test]
fn a_fuzzer_finds_no_answer_that_the_document_does_not_promise() {
    let program = repo_file("target/venv-api/bin/schemathesis");
    if !program.exists() {
        return no_service("schemathesis is not installed; scripts/venv.sh api does that");
    }
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    run(async {
        declare(&rig).await;
        // Of every tenant: what is made up gets past the policy.
        let officer = [("access.fuzz.tenants", "*"), ("access.fuzz.actions", "export,erase,hold")];
        let desk = desk(&rig, &officer).await;
        fuzz(&program, &desk).await;
        let log = entries(&desk.store).await.expect("a log");
        for action in [Action::EraseBegun, Action::HoldSet, Action::HoldLifted, Action::Subject] {
            let done = log.iter().filter(|entry| entry.action == action && entry.actor == "user maria").count();
            assert!(done > 0, "{action:?}: no request of the fuzzer got that far");
        }
    });
}

async fn fuzz(program: &Path, desk: &Desk) {
    let bearer = format!("Authorization: Bearer {}", token(&json!({ "roles": ["lead", "fuzz"] })));
    let base = format!("http://{}", desk.address);
    let mut command = Command::new(program);
    command.args(["run", &format!("{base}/openapi.json"), "--url", &base, "--header", &bearer, "--checks", CHECKS]);
    command.args(["--max-examples", "40", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"]);
    // It writes its memory of examples to where it runs.
    let dir = tempfile::tempdir().expect("a directory");
    command.current_dir(dir.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("generated") && text.contains("passed"), "is the test blind?\n{text}");
}
