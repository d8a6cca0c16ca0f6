//! What came of one case, and questions about it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::normalize::{asset, normalize};
use crate::support::cmd::Dir;
use crate::support::media::{Shown, frame_times, sound};
use crate::support::tones::tone;

/// A case and its result.
pub struct Got {
    pub input: PathBuf,
    pub line: Value,
    out: PathBuf,
}

/// Rate at which sounds are looked at: above twice every frequency that a case has.
const RATE: u32 = 8000;

impl Got {
    /// Normalizes a case into the folder; one whose name says so by the profile for voice.
    pub fn of(dir: &Dir, case: &Path) -> Self {
        let name = case.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let profile: &[&str] = if name == "stereo_inverted.wav" { &["--profile", "voice"] } else { &[] };
        let run = normalize(dir, &[case], profile);
        let lines = run.json_lines();
        let line = lines.into_iter().find(|line| line["input"].is_string());
        let line = line.unwrap_or_else(|| panic!("no line about {name}: {}", run.stderr));
        Self { input: case.to_owned(), line, out: dir.path().join("out") }
    }

    /// Outcome, kind, action, length and damage in one line.
    pub fn summary(&self) -> String {
        let line = &self.line;
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if line["outcome"] != "normalized" {
            return format!("{} {}", word(&line["outcome"]), word(&line["code"]));
        }
        let reasons = line["decision"]["reasons"].as_array().map_or(&[][..], Vec::as_slice);
        let reasons: Vec<String> = reasons.iter().map(|reason| word(&reason["reason"])).collect();
        let damage = if self.damaged() { ", damaged" } else { "" };
        let length = self.length_ms().map_or_else(String::new, |ms| format!(", {ms} ms"));
        let (kind, action) = (word(&line["kind"]), word(&line["decision"]["action"]));
        format!("{kind}, {action}{length}{damage}, reasons {}", reasons.join(" "))
    }

    /// The summary with `more`, as right or wrong.
    pub fn verdict(&self, right: bool, more: &str) -> Result<String, String> {
        let text = if more.is_empty() { self.summary() } else { format!("{}; {more}", self.summary()) };
        if right { Ok(text) } else { Err(text) }
    }

    pub fn is(&self, kind: &str) -> bool {
        self.line["outcome"] == "normalized" && self.line["kind"] == kind
    }

    pub fn action(&self) -> &str {
        self.line["decision"]["action"].as_str().unwrap_or_default()
    }

    pub fn says(&self, reason: &str) -> bool {
        let reasons = self.line["decision"]["reasons"].as_array().map_or(&[][..], Vec::as_slice);
        reasons.iter().any(|entry| entry["reason"] == reason)
    }

    pub fn damaged(&self) -> bool {
        !self.line["damage"].is_null() || self.line["original"]["damaged"] == true
    }

    pub fn length_ms(&self) -> Option<u64> {
        self.line["original"]["duration_ms"].as_u64()
    }

    /// Whether the original is said to last so long, within a frame or two.
    pub fn lasts(&self, ms: u64) -> bool {
        self.length_ms().is_some_and(|found| found.abs_diff(ms) <= 100)
    }

    pub fn playback(&self) -> Option<PathBuf> {
        Some(asset(&self.out, &self.line, "playback")?.0)
    }

    pub fn thumbnail(&self) -> Option<Shown> {
        asset(&self.out, &self.line, "thumbnail").map(|(path, _)| Shown::of(&path, 0.0))
    }

    /// Width and height of the original's first stream.
    pub fn size(&self) -> Option<(u64, u64)> {
        let stream = &self.line["original"]["streams"][0];
        Some((stream["width"].as_u64()?, stream["height"].as_u64()?))
    }

    pub fn frames(&self) -> usize {
        self.playback().map_or(0, |path| frame_times(&path, "v").len())
    }

    /// What is heard: nothing where there is no playback asset, or no sound in it.
    pub fn heard(&self, channels: u32) -> Heard {
        let path = self.playback();
        let has_sound = |path: &PathBuf| {
            let facts = crate::support::oracle::facts(path);
            facts["streams"].as_array().is_some_and(|streams| streams.iter().any(|s| s["codec_type"] == "audio"))
        };
        let samples = path.filter(has_sound).map_or_else(Vec::new, |path| sound(&path, RATE, channels));
        Heard { samples, channels: channels as usize }
    }
}

/// Interleaved samples at [`RATE`].
pub struct Heard {
    samples: Vec<f32>,
    channels: usize,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "short sounds"
)]
impl Heard {
    fn part(&self, channel: usize, from_s: f64, to_s: f64) -> Vec<f32> {
        let place = |seconds: f64| (seconds * f64::from(RATE)) as usize;
        let samples = self.samples.iter().copied().skip(channel).step_by(self.channels);
        samples.skip(place(from_s)).take(place(to_s - from_s)).collect()
    }

    /// Amplitude of one frequency in part of a channel (one bin of a Fourier transform).
    pub fn tone(&self, channel: usize, hz: f64, (from_s, to_s): (f64, f64)) -> f64 {
        tone(&self.part(channel, 0.0, self.seconds()), RATE, hz, (from_s, to_s))
    }

    pub fn rms(&self, from_s: f64, to_s: f64) -> f64 {
        let part = self.part(0, from_s, to_s);
        let squares: f64 = part.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
        (squares / part.len().max(1) as f64).sqrt()
    }

    pub fn seconds(&self) -> f64 {
        (self.samples.len() / self.channels) as f64 / f64::from(RATE)
    }

    /// When sound begins again after this time.
    pub fn begins_after(&self, from_s: f64) -> Option<f64> {
        let part = self.part(0, from_s, self.seconds());
        let loud = part.iter().position(|sample| sample.abs() > 0.05)?;
        Some(from_s + loud as f64 / f64::from(RATE))
    }
}
