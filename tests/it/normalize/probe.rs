//! `mediamill probe`.

use super::{Run, fixtures};
use crate::support::cmd::Dir;

fn probe(name: &str, more: &[&str]) -> Run {
    let dir = Dir::new();
    let run = Run::of(dir.command().arg("probe").args(more).arg("--").arg(fixtures().join(name)));
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "something was made");
    run
}

#[test]
fn facts_are_those_of_the_event() {
    let line = &probe("hdr-hlg.mov", &["--format", "json"]).exits(0).json_lines()[0];
    assert_eq!((&line["kind"], &line["container"]), (&"video".into(), &"mov".into()));
    assert_eq!(line["streams"][0]["codec"], "hevc");
    assert_eq!(line["streams"][0]["dynamic_range"], "hlg");
    assert_eq!((&line["streams"][0]["width"], &line["streams"][0]["height"]), (&1280.into(), &720.into()));
    assert!(line.get("decision").is_none());
    let text = probe("phone-portrait.mp4", &[]).exits(0).stdout;
    assert!(text.contains("h264 1080×1920 30 fps") && !text.contains("with profile"), "{text}");
}

#[test]
fn a_plan_says_what_and_why_without_doing_it() {
    let text = probe("hdr-hlg.mov", &["--plan"]).exits(0).stdout;
    for expected in ["with profile crm", "action     encoded", "encode, codec: hevc is not H.264", "copy, conforms"] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    let line = &probe("speech.mp3", &["--plan", "--profile", "voice", "--format", "json"]).exits(0).json_lines()[0];
    assert_eq!(line["decision"]["profile"], "voice");
    assert!(line["decision"]["reasons"][0]["reason"].is_string(), "{line}");
}

#[test]
fn a_file_that_would_be_rejected_has_its_code() {
    let text = probe("garbage.bin", &["--plan"]).exits(3).stdout;
    assert!(text.contains("media.unsupported"), "{text}");
    let line = &probe("truncated.mp4", &["--format", "json"]).exits(3).json_lines()[0];
    assert_eq!(line["code"], "media.unreadable");
    probe("no-such-file", &[]).exits(2);
    probe("voice-note.ogg", &["--profile", "crm"]).exits(2);
}
