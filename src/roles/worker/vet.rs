//! Checks a child's report: what an unharmed child cannot report is refused.
//!
//! The report comes from a process that read hostile bytes. Whatever in it names a file, an object or a type, and
//! whatever goes into an event, is checked before it is used: a child that was taken over could otherwise have the
//! worker upload any file for it, or put anything at all under a customer's name.

use std::path::Path;

use crate::config::Limits;
use crate::error::{Code, Fault};
use crate::events::{Action, Kind, Peaks, Reason, Role, Stream, StreamDetail};
use crate::profile::MAX_INLINE_PEAKS;
use crate::task::{INPUT, Produced, Report};

/// Every object that a child can make: of which kind of file, what for, its name, its MIME type.
const OBJECTS: [(Kind, Role, &str, &str); 12] = [
    (Kind::Audio, Role::Playback, "audio.mp3", "audio/mpeg"),
    (Kind::Audio, Role::Playback, "audio.m4a", "audio/mp4"),
    (Kind::Audio, Role::Playback, "audio.ogg", "audio/ogg; codecs=opus"),
    (Kind::Audio, Role::Waveform, "waveform.png", "image/png"),
    (Kind::Audio, Role::Peaks, "peaks.json", "application/json"),
    // Of its cover art.
    (Kind::Audio, Role::Thumbnail, "thumbnail.jpg", "image/jpeg"),
    (Kind::Video, Role::Playback, "video.mp4", "video/mp4"),
    (Kind::Video, Role::Thumbnail, "thumbnail.jpg", "image/jpeg"),
    (Kind::Image, Role::Thumbnail, "thumbnail.jpg", "image/jpeg"),
    (Kind::Image, Role::Rendition, "picture.jpg", "image/jpeg"),
    (Kind::Image, Role::Rendition, "picture.png", "image/png"),
    (Kind::Image, Role::Rendition, "picture.webp", "image/webp"),
];
/// Verdicts of a [`Reason`].
const VERDICTS: [&str; 5] = ["copy", "encode", "drop", "keep", "remux"];
/// Largest file of any role but playback: pictures and peaks are far below.
const MAX_SIDE_BYTES: u64 = 64 << 20;
/// Longest MIME type that is passed on.
const MAX_MIME_BYTES: usize = 127;
/// Longest name of a container, codec, pixel format or reason.
const MAX_NAME_CHARS: usize = 64;
/// Longest text for people.
const MAX_TEXT_CHARS: usize = 300;
/// Longest extension.
const MAX_EXTENSION_CHARS: usize = 16;
/// Most codecs of one file.
const MAX_CODECS: usize = 8;
/// Reasons beside two for each stream that is allowed.
const MORE_REASONS: usize = 16;

/// Checks a report and the files that it names, in the scratch directory of an ended child.
///
/// # Errors
/// [`Code::WorkerSandbox`]: the child is not what it should be. The file may be to blame, so it has one more try.
pub(super) fn report(report: &Report, scratch: &Path, limits: &Limits) -> Result<(), Fault> {
    let checked = texts(report, limits).and_then(|()| plan(report)).and_then(|()| files(report, scratch, limits));
    checked.map_err(|what| Fault::suspect(Code::WorkerSandbox, format!("the child's report {what}")))
}

/// What is wrong, in words that follow "the child's report".
type Checked = Result<(), &'static str>;

fn ensure(holds: bool, otherwise: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Lists are as long as a file can make them, and texts are short and printable.
fn texts(report: &Report, limits: &Limits) -> Checked {
    let streams = usize::try_from(limits.streams).unwrap_or(usize::MAX);
    ensure(report.streams.len() <= streams, "has more streams than limits.streams")?;
    ensure(report.reasons.len() <= streams.saturating_mul(2).saturating_add(MORE_REASONS), "has too many reasons")?;
    let extension = report.extension.len() <= MAX_EXTENSION_CHARS && !report.extension.is_empty();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    ensure(extension && report.extension.chars().all(plain), "has an impossible extension")?;
    ensure(is_mime(&report.mime_type), "has an impossible MIME type")?;
    ensure(is_name(&report.container), "has an impossible container")?;
    ensure(report.created_at.as_deref().is_none_or(is_label), "has an impossible time of recording")?;
    ensure(report.streams.iter().all(stream_fits), "describes an impossible stream")?;
    ensure(report.reasons.iter().all(reason_fits), "gives an impossible reason")?;
    let peaks_fit = |peaks: &Peaks| report.kind == Kind::Audio && peaks.is_sound(MAX_INLINE_PEAKS);
    ensure(report.peaks.as_ref().is_none_or(peaks_fit), "has impossible peaks")?;
    let codecs_fit =
        |made: &Produced| made.codecs.len() <= MAX_CODECS && made.codecs.iter().all(|codec| is_name(codec));
    ensure(report.produced.iter().all(codecs_fit), "names an impossible codec")
}

/// What was made is what the action says: one playback asset where streams were kept or encoded, none where only the
/// original is kept; the input itself where it was copied, a file of its own everywhere else.
fn plan(report: &Report) -> Checked {
    for (n, made) in report.produced.iter().enumerate() {
        let row = (report.kind, made.role, made.object.as_str(), made.mime_type.as_str());
        ensure(OBJECTS.contains(&row), "has an object that such a file does not have")?;
        let others = &report.produced[..n];
        ensure(others.iter().all(|other| other.role != made.role), "has two objects for one purpose")?;
        ensure(others.iter().all(|other| other.file != made.file), "has two objects of one file")?;
        let is_copy = made.role == Role::Playback && report.action == Action::Copied;
        ensure((made.file == INPUT) == is_copy, "takes the original for something else")?;
    }
    let playable = report.produced.iter().any(|made| made.role == Role::Playback);
    let wanted = match report.action {
        Action::Copied | Action::Remuxed | Action::Encoded => true,
        Action::KeptOriginal => false,
    };
    ensure(playable == wanted, "has not the playback asset that its action makes")
}

/// Every file is one that the child wrote, in the scratch directory, and no larger than a job may make it.
fn files(report: &Report, scratch: &Path, limits: &Limits) -> Checked {
    let mut total_bytes = 0_u64;
    for made in &report.produced {
        let named = !made.file.is_empty() && !made.file.contains(['/', '\0']) && made.file != "..";
        ensure(named, "names something that is no file of its own")?;
        let meta = scratch.join(&made.file).symlink_metadata().ok().filter(std::fs::Metadata::is_file);
        let size_bytes = meta.ok_or("names something that is no file of its own")?.len();
        let most = match made.role {
            _ if made.file == INPUT => limits.input_bytes,
            Role::Playback => limits.output_bytes,
            // A picture's metadata may be all that a rendition leaves out.
            Role::Rendition => limits.input_bytes.min(limits.output_bytes),
            Role::Thumbnail | Role::Waveform | Role::Peaks | Role::Original => MAX_SIDE_BYTES,
        };
        ensure(size_bytes <= most, "names a file that is too large for its purpose")?;
        // Not only what lies on the disk: a sparse file is stored with its holes.
        total_bytes = total_bytes.saturating_add(size_bytes);
    }
    ensure(total_bytes <= limits.scratch_bytes, "names files that are too large together")
}

fn stream_fits(stream: &Stream) -> bool {
    let detail = match &stream.detail {
        StreamDetail::Video { pixel_format, dynamic_range, color_space, .. } => {
            let range = ["sdr", "hlg", "pq"].contains(&dynamic_range.as_str());
            is_label(pixel_format) && range && color_space.as_deref().is_none_or(is_label)
        }
        StreamDetail::Audio { .. } | StreamDetail::Subtitle | StreamDetail::Data => true,
    };
    detail && is_label(&stream.codec) && stream.profile.as_deref().is_none_or(is_label)
}

fn reason_fits(reason: &Reason) -> bool {
    let detail = |text: &String| text.chars().count() <= MAX_TEXT_CHARS && !text.chars().any(char::is_control);
    VERDICTS.contains(&reason.verdict.as_str()) && is_name(&reason.reason) && reason.detail.as_ref().is_none_or(detail)
}

/// A word of libav's or ours.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= MAX_NAME_CHARS && text.chars().all(plain)
}

/// A few words of libav's, such as `High 4:2:2 Intra`; nothing where libav has none.
fn is_label(text: &str) -> bool {
    text.len() <= MAX_NAME_CHARS && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

fn is_mime(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(plain);
    text.len() <= MAX_MIME_BYTES && text.split_once('/').is_some_and(|(kind, name)| part(kind) && part(name))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use serde_json::{Value, json};

    use super::*;

    fn limits() -> Limits {
        crate::config::load(None, [], &[]).expect("the defaults").limits
    }

    fn made(role: &str, file: &str, object: &str, mime_type: &str) -> Value {
        json!({ "role": role, "file": file, "object": object, "mime_type": mime_type, "codecs": ["mp3"] })
    }

    /// The report of an encoded voice note.
    fn sound() -> Value {
        json!({
            "kind": "audio", "mime_type": "audio/ogg", "extension": "ogg", "container": "ogg", "duration_ms": 1,
            "streams": [{ "index": 0, "codec": "opus", "type": "audio", "sample_rate_hz": 48000, "channels": 1 }],
            "action": "encoded",
            "reasons": [{ "stream": 0, "verdict": "encode", "reason": "codec", "detail": "opus is not MP3" }],
            "produced": [
                made("playback", "audio.mp3", "audio.mp3", "audio/mpeg"),
                made("waveform", "waveform.png", "waveform.png", "image/png"),
                made("peaks", "peaks.json", "peaks.json", "application/json"),
            ],
            "peaks": { "version": 2, "channels": 1, "sample_rate": 8000, "samples_per_pixel": 400, "bits": 8, "length": 1,
                       "data": [-1, 1] },
            "cpu_s": 0.0, "peak_memory_bytes": 0, "libav": {},
            "sandbox": { "mode": "", "landlock": "", "landlock_abi": 0, "seccomp": true },
        })
    }

    fn judged(value: &Value) -> Result<(), String> {
        let scratch = tempfile::tempdir().expect("a directory");
        for name in [INPUT, "audio.mp3", "waveform.png", "peaks.json", "thumbnail.jpg", "large"] {
            std::fs::write(scratch.path().join(name), b"x").expect("written");
        }
        File::options().write(true).open(scratch.path().join("large")).and_then(|f| f.set_len(1 << 40)).expect("made");
        std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("link")).expect("made");
        let value: Report = serde_json::from_value(value.clone()).expect("a report");
        report(&value, scratch.path(), &limits()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_jobs_report_is_accepted() {
        assert_eq!(judged(&sound()), Ok(()));
        let mut covered = sound();
        let cover = made("thumbnail", "thumbnail.jpg", "thumbnail.jpg", "image/jpeg");
        covered["produced"].as_array_mut().expect("a list").push(cover);
        assert_eq!(judged(&covered), Ok(()));
        let mut copied = sound();
        copied["action"] = json!("copied");
        copied["produced"][0]["file"] = json!(INPUT);
        assert_eq!(judged(&copied), Ok(()));
        let mut kept = sound();
        (kept["kind"], kept["action"]) = (json!("image"), json!("kept-original"));
        kept["peaks"] = Value::Null;
        kept["produced"] = json!([made("thumbnail", "thumbnail.jpg", "thumbnail.jpg", "image/jpeg")]);
        assert_eq!(judged(&kept), Ok(()));
    }

    #[test]
    fn what_no_job_reports_is_refused() {
        let many = |n: usize, item: &Value| Value::Array(vec![item.clone(); n]);
        let (stream, reason) = (sound()["streams"][0].clone(), sound()["reasons"][0].clone());
        let one = made("playback", "audio.mp3", "audio.mp3", "audio/mpeg");
        let cases: Vec<(&str, &str, Value)> = vec![
            ("no playback", "/produced", json!([])),
            ("two playbacks", "/produced", json!([one, made("playback", "large", "audio.m4a", "audio/mp4")])),
            ("playback of a kept original", "/action", json!("kept-original")),
            ("an encoded input", "/produced/0/file", json!(INPUT)),
            ("a copy that is not the input", "/action", json!("copied")),
            ("an input as waveform", "/produced/1/file", json!(INPUT)),
            ("one file twice", "/produced/1/file", json!("audio.mp3")),
            ("HTML", "/produced/0/mime_type", json!("text/html")),
            ("another's name", "/produced/0/object", json!("manifest.json")),
            ("a film's name", "/produced/0/object", json!("video.mp4")),
            ("a film with a waveform", "/kind", json!("video")),
            ("a document with a sound", "/kind", json!("document")),
            ("a file outside", "/produced/0/file", json!("../audio.mp3")),
            ("a link", "/produced/0/file", json!("link")),
            ("a missing file", "/produced/0/file", json!("none")),
            ("a huge file", "/produced/0/file", json!("large")),
            ("a huge picture", "/produced/1/file", json!("large")),
            ("escape sequences", "/container", json!("\u{1b}]0;pwn\u{7}<script>")),
            ("markup", "/container", json!("<script>")),
            ("a long codec", "/streams/0/codec", json!("x".repeat(65))),
            ("a codec with a line feed", "/streams/0/codec", json!("a\nb")),
            ("codecs without end", "/produced/0/codecs", many(9, &json!("mp3"))),
            ("reasons without end", "/reasons", many(9001, &reason)),
            ("streams without end", "/streams", many(33, &stream)),
            ("an unknown verdict", "/reasons/0/verdict", json!("burn")),
            ("a reason in words", "/reasons/0/reason", json!("I say so")),
            ("a long detail", "/reasons/0/detail", json!("x".repeat(301))),
            ("peaks without an end", "/peaks/data", json!([-1, 1, 0])),
            ("peaks of another format", "/peaks/version", json!(3)),
            ("peaks without number", "/peaks/length", json!(4_000_000)),
            ("peaks of no time", "/peaks/samples_per_pixel", json!(0)),
            ("a time that is a story", "/created_at", json!("x".repeat(65))),
            ("an extension with a path", "/extension", json!("a/b")),
            ("a type that is none", "/mime_type", json!("text/html; charset=utf-8")),
        ];
        for (what, pointer, value) in cases {
            let mut report = sound();
            if pointer == "/created_at" {
                report["created_at"] = Value::Null;
            }
            *report.pointer_mut(pointer).expect(pointer) = value;
            let refusal = judged(&report).expect_err(what);
            assert!(
                refusal.contains("the child's report") && refusal.ends_with("[worker.sandbox]"),
                "{what}: {refusal}"
            );
        }
    }
}
