//! Somebody else's facts about a file: the `ffprobe` and `ffmpeg` programs (Debian: ffmpeg).

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What ffprobe knows: `format`, `streams`.
pub fn facts(file: &Path) -> Value {
    let arguments = ["-v", "error", "-of", "json", "-show_format", "-show_streams"];
    let output = Command::new("ffprobe").args(arguments).arg(named(file)).output().expect("ffprobe is installed");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Codecs of ffprobe's streams, in their order.
pub fn codecs(facts: &Value) -> Vec<&str> {
    let streams = facts["streams"].as_array().map_or(&[][..], Vec::as_slice);
    streams.iter().filter_map(|stream| stream["codec_name"].as_str()).collect()
}

/// Decodes the whole file and stops at the first error.
pub fn decodes(file: &Path) -> Result<(), String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(named(file))
        // Times do not matter here, and what the null muxer thinks of a variable frame rate even less.
        .args(["-vsync", "drop", "-f", "null", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.trim().to_owned()) }
}

/// Length of the decoded sound in ms, sample by sample.
pub fn decoded_ms(file: &Path) -> u64 {
    // The decoder that FFmpeg 7.1 takes by itself makes two samples of one.
    let speex = codecs(&facts(file)).contains(&"speex");
    let decoder: &[&str] = if speex { &["-c:a", "libspeex"] } else { &[] };
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(decoder)
        .arg("-i")
        .arg(named(file))
        .args(["-vn", "-ac", "1", "-ar", "48000", "-f", "s16le", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is installed");
    u64::try_from(output.stdout.len()).expect("a length") / 96
}

/// A name that cannot be taken for an option or a protocol.
fn named(file: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from("file:");
    name.push(file);
    name
}
