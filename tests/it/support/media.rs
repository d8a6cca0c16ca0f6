//! Files through the real jailed child, and the ffmpeg program as an independent judge of what came out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use mediamill::error::{Code, Fault};
use mediamill::events::Role;
use mediamill::profile::RawProfile;
use mediamill::sandbox::{Sandbox, SandboxError};
use mediamill::task::{JobSpec, Limits, Produced, Report, Task};
use serde_json::Value;
use tempfile::TempDir;

use super::{jail, oracle};

/// A finished job: what it reported, and the directory that holds its files.
pub struct Made {
    pub report: Report,
    dir: TempDir,
}

impl Made {
    /// The asset of this role, which has to be there.
    pub fn asset(&self, role: Role) -> (&Produced, PathBuf) {
        let found = self.report.produced.iter().find(|asset| asset.role == role);
        let asset = found.unwrap_or_else(|| panic!("no {role:?} among {:#?}", self.report.produced));
        (asset, self.dir.path().join(&asset.file))
    }

    pub fn playback(&self) -> PathBuf {
        self.asset(Role::Playback).1
    }

    pub fn thumbnail(&self) -> PathBuf {
        self.asset(Role::Thumbnail).1
    }

    /// Length of the original as it was found, in ms.
    pub fn duration_ms(&self) -> u64 {
        self.report.duration_ms.expect("a length")
    }

    /// Whether this verdict was given for this reason.
    pub fn says(&self, verdict: &str, reason: &str) -> bool {
        self.report.reasons.iter().any(|entry| entry.verdict == verdict && entry.reason == reason)
    }
}

fn sandbox() -> &'static (tokio::runtime::Runtime, Sandbox) {
    static SHARED: OnceLock<(tokio::runtime::Runtime, Sandbox)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sandbox = runtime.block_on(async { jail::start(jail::options()) });
        (runtime, sandbox)
    })
}

/// Does a task with the `crm` profile as `change` leaves it.
pub fn run(task: Task, input: &Path, change: impl FnOnce(&mut RawProfile)) -> Result<Made, SandboxError> {
    let mut spec = jail::spec(task);
    change(&mut spec.profile);
    run_spec(&spec, input)
}

fn run_spec(spec: &JobSpec, input: &Path) -> Result<Made, SandboxError> {
    let dir = jail::scratch(std::fs::read(input).expect("an input"));
    let (runtime, sandbox) = sandbox();
    let report = runtime.block_on(sandbox.run(spec, dir.path(), |_| ()))?;
    Ok(Made { report, dir })
}

/// Normalizes with the `crm` profile as `change` leaves it.
pub fn make_with(input: &Path, change: impl FnOnce(&mut RawProfile)) -> Made {
    run(Task::Normalize, input, change).unwrap_or_else(|error| panic!("{}: {error}", input.display()))
}

/// Normalizes with the `crm` profile and limits as `change` leaves them.
pub fn make_limited(input: &Path, change: impl FnOnce(&mut Limits)) -> Made {
    let mut spec = jail::spec(Task::Normalize);
    change(&mut spec.limits);
    run_spec(&spec, input).unwrap_or_else(|error| panic!("{}: {error}", input.display()))
}

/// Normalizes with the `crm` profile.
pub fn make(input: &Path) -> Made {
    make_with(input, |_| ())
}

/// The code with which a file is rejected.
pub fn rejection(input: &Path, change: impl FnOnce(&mut RawProfile)) -> Code {
    match run(Task::Normalize, input, change) {
        Err(SandboxError::Answered(Fault::Rejected { code, .. })) => code,
        Err(error) => panic!("{}: {error}", input.display()),
        Ok(made) => panic!("{} was taken: {:#?}", input.display(), made.report),
    }
}

/// A fixture of the project.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Runs a program, which has to succeed.
pub fn output(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (Debian: ffmpeg) is needed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output
}

/// Synthesises or judges with the ffmpeg program; `{}` in an argument stands for the path.
pub fn ffmpeg(arguments: &str, path: &Path) -> Output {
    let path = path.to_str().expect("a path in UTF-8");
    let mut all = vec!["-v", "error", "-nostdin", "-y"];
    let split: Vec<String> = arguments.split_whitespace().map(|argument| argument.replace("{}", path)).collect();
    all.extend(split.iter().map(String::as_str));
    output("ffmpeg", &all)
}

/// What ffprobe has in its lines of this section, of the streams of one kind.
pub fn entries(path: &Path, kind: &str, section: &str) -> Vec<String> {
    let path = path.to_str().expect("a path in UTF-8");
    let shown = ["-v", "error", "-select_streams", kind, "-show_entries", section, "-of", "csv=p=0", path];
    let text = String::from_utf8(output("ffprobe", &shown).stdout).expect("text");
    text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}

/// A synthesised file: `arguments` say what, `name` where.
pub fn synthesise(dir: &TempDir, name: &str, arguments: &str) -> PathBuf {
    let path = dir.path().join(name);
    ffmpeg(&format!("{arguments} {{}}"), &path);
    path
}

/// The first stream of a kind, as ffprobe sees it.
pub fn stream(path: &Path, kind: &str) -> Value {
    let probed = oracle::facts(path);
    let streams = probed["streams"].as_array().expect("streams");
    streams.iter().find(|s| s["codec_type"] == kind).unwrap_or_else(|| panic!("no {kind} in {probed:#}")).clone()
}

/// ffprobe writes numbers as text.
pub fn number(value: &Value) -> f64 {
    let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// Presentation times of the frames of one kind of stream, in seconds, sorted.
pub fn frame_times(path: &Path, kind: &str) -> Vec<f64> {
    let lines = entries(path, kind, "frame=best_effort_timestamp_time");
    let mut times: Vec<f64> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Asserts that every packet decodes.
pub fn decodes(path: &Path) {
    oracle::decodes(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Decoded sound as mono or stereo float at a rate.
pub fn sound(path: &Path, rate: u32, channels: u32) -> Vec<f32> {
    let output = ffmpeg(&format!("-i {{}} -map 0:a:0 -f f32le -ar {rate} -ac {channels} -"), path);
    output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// A picture, or a film's frame at `seconds`, as the player shows it.
pub struct Shown {
    pub width: usize,
    pub height: usize,
    rgb: Vec<u8>,
}

impl Shown {
    pub fn of(path: &Path, seconds: f64) -> Self {
        // Turned as its display matrix says: that is what the program does unless told otherwise.
        let seek = if seconds > 0.0 { format!("-ss {seconds}") } else { String::new() };
        let ppm = ffmpeg(&format!("{seek} -i {{}} -map 0:v:0 -frames:v 1 -f image2pipe -c:v ppm -"), path).stdout;
        let header: Vec<&[u8]> = ppm.splitn(4, |byte| byte.is_ascii_whitespace()).collect();
        let [_, width, height, rest] = header[..] else { panic!("no picture of {}", path.display()) };
        let size = |text: &[u8]| String::from_utf8_lossy(text).parse().expect("a size");
        let rgb = rest.split_at(rest.iter().position(|b| b.is_ascii_whitespace()).expect("a maximum") + 1).1;
        Self { width: size(width), height: size(height), rgb: rgb.to_vec() }
    }

    /// The mean colour around a place given as fractions of width and height.
    pub fn color(&self, x: f64, y: f64) -> [u8; 3] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place"
        )]
        let (x, y) = ((x * self.width as f64) as usize, (y * self.height as f64) as usize);
        let (mut sums, mut count) = ([0_usize; 3], 0);
        for row in y.saturating_sub(2)..(y + 3).min(self.height) {
            for column in x.saturating_sub(2)..(x + 3).min(self.width) {
                for (sum, byte) in sums.iter_mut().zip(&self.rgb[(row * self.width + column) * 3..]) {
                    *sum += usize::from(*byte);
                }
                count += 1;
            }
        }
        sums.map(|sum| u8::try_from(sum / count).expect("a mean of bytes"))
    }

    /// Mean absolute difference of two pictures of one size, over all channels, of 255.
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub fn difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let sum: u64 = self.rgb.iter().zip(&other.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / self.rgb.len() as f64
    }
}

/// Whether a colour is this one, within what 4:2:0 and a lossy codec do to it.
pub fn is_color(seen: [u8; 3], wanted: [u8; 3]) -> bool {
    seen.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 40)
}

/// Colours of the four quarters of the synthesised test picture: upper left, upper right, lower left, lower right.
pub const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 30], [30, 30, 220], [220, 220, 30]];

/// Source of the test picture for the ffmpeg program.
pub fn quarters(width: u32, height: u32, seconds: u32, rate: u32) -> String {
    let (w, h) = (width / 2, height / 2);
    let color = |n: usize| QUARTERS[n].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "-f lavfi -i color=0x{}:s={width}x{height}:r={rate}:d={seconds},\
         drawbox=x={w}:y=0:w={w}:h={h}:color=0x{}:t=fill,drawbox=x=0:y={h}:w={w}:h={h}:color=0x{}:t=fill,\
         drawbox=x={w}:y={h}:w={w}:h={h}:color=0x{}:t=fill",
        color(0),
        color(1),
        color(2),
        color(3)
    )
}
