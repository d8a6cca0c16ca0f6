//! What these tests share: a person who sends media, and the command that erases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::cmd::Run;
use crate::support::rig::{Rig, event, fixture, letter};

/// The key under which people are known, and the seed of the audit log.
pub(crate) const KEY: &str = "a key of tests that is long enough";
pub(crate) const SEED: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A rig where people are known and everything is audited.
pub(super) fn known(rig: &mut Rig) {
    rig.set("PRIVACY_KEY", KEY);
    rig.set("PRIVACY_AUDIT_KEY", SEED);
}

/// A small file as a person sends it.
pub(crate) fn sent(media_id: &str, message: Value) -> Value {
    let mut event = event(media_id, &fixture("contact.vcf"));
    event["data"]["message"] = message;
    event
}

/// Asks for it.
pub(super) fn ask(rig: &Rig, event: &Value) {
    rig.bus.publish(&letter(event));
}

/// Runs a command with something at its standard input.
pub(crate) fn fed(mut command: Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Erases a person of the tenant `acme`, and gives back the certificate.
#[track_caller]
pub(super) fn erase(rig: &Rig, identity: &str) -> Value {
    let run = fed(rig.command(&["erase", "--tenant", "acme", "--reason", "gdpr-17"]), identity).exits(0);
    serde_json::from_str(&run.stdout).expect("a certificate")
}

/// Every file below a folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut all = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// What a media has in the store, without its folder's own path.
pub(crate) fn objects(store: &Path, media_id: &str) -> Vec<String> {
    let folder = store.join("acme").join(media_id);
    let named = |path: &PathBuf| path.strip_prefix(&folder).expect("below it").display().to_string();
    // What a killed process had half written begins so; no reader sees it, and the store sweeps it.
    let is_half = |name: &String| name.rsplit('/').next().is_some_and(|file| file.starts_with(".~"));
    let mut names: Vec<_> = files(&folder).iter().map(named).filter(|name| !is_half(name)).collect();
    names.sort_unstable();
    names
}

/// The state that a media's manifest says.
#[track_caller]
pub(super) fn state(store: &Path, media_id: &str) -> Value {
    let path = store.join("acme").join(media_id).join("manifest.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).expect("a manifest")).expect("JSON");
    json["state"].clone()
}

/// A person's message, with what must not be found anywhere once it is erased.
pub(crate) fn message(phone: &str, canary: &str) -> Value {
    json!({
        "channel": "whatsapp", "direction": "inbound", "phone": phone, "user_id": format!("user-{canary}"),
        "message_id": format!("wamid.{canary}"), "conversation_id": format!("conversation-{canary}"),
        "contact_name": format!("name {canary}"), "caption": format!("caption {canary}"),
        "sent_at": jiff::Timestamp::now().to_string(),
    })
}
