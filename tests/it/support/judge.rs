//! Somebody else's opinion of our outputs: the `ffmpeg` program, told to stop at the first error.

use std::path::Path;
use std::process::{Command, Stdio};

use mediamill::events::Role;
use mediamill::task::{INPUT, Report};

/// What `ffmpeg` has to say against the files of a report; nothing where all of them decode to their end, or where a
/// copied stream is as damaged as it came.
pub fn objections(report: &Report, scratch: &Path) -> Vec<String> {
    against(report, scratch, |role| role != Role::Original)
}

/// The same of the playback asset alone.
pub fn playback(report: &Report, scratch: &Path) -> Vec<String> {
    against(report, scratch, |role| role == Role::Playback)
}

fn against(report: &Report, scratch: &Path, judged: impl Fn(Role) -> bool) -> Vec<String> {
    let made = report.produced.iter().filter(|file| judged(file.role));
    let objections = made.filter_map(|file| {
        let objection = objection(&file.file, &file.mime_type, scratch)?;
        let copied = file.role == Role::Playback && report.reasons.iter().any(|reason| reason.verdict == "copy");
        let came_so = copied && (file.file == INPUT || !decode(INPUT, scratch).says.is_empty());
        (!came_so).then_some(objection)
    });
    objections.collect()
}

fn objection(file: &str, mime_type: &str, scratch: &Path) -> Option<String> {
    if mime_type == "application/json" {
        let json = std::fs::read(scratch.join(file)).expect("a produced file");
        return serde_json::from_slice::<serde_json::Value>(&json).err().map(|error| format!("{file}: {error}"));
    }
    let decoded = decode(file, scratch);
    (!decoded.to_the_end).then(|| format!("{file}: ffmpeg says {}", decoded.says))
}

struct Decoded {
    to_the_end: bool,
    /// Errors, also those that it went on after.
    says: String,
}

fn decode(file: &str, scratch: &Path) -> Decoded {
    // One thread: with more, whether an error is noticed depends on who comes first.
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-threads", "1", "-i", file, "-f", "null", "-"])
        .current_dir(scratch)
        .stdin(Stdio::null())
        .output()
        .expect("the ffmpeg program is installed");
    Decoded { to_the_end: output.status.success(), says: String::from_utf8_lossy(&output.stderr).trim().to_owned() }
}
