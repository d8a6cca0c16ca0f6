//! Tests what happens to a file whose encoded output fails its check. No known file has one, so the test makes the
//! check fail.
#![expect(unsafe_code, reason = "only the C library can give a thread its own working directory")]

use std::path::Path;

use crate::config::Profiles;
use crate::profile::RawProfile;
use crate::task::Limits;
use crate::task::{INPUT, JobSpec, Report, Task};
use crate::transcode::check::prove::UNPROVEN;
use crate::vocabulary::{Action, Role};

/// Normalizes a fixture, while outputs with the name `unproven` fail their check.
fn make(fixture: &str, unproven: &'static str, change: fn(&mut RawProfile)) -> Report {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::copy(input, dir.path().join(INPUT)).expect("an input");
    let mut profile = Profiles::load(Path::new("")).expect("profiles").get("crm").expect("crm").raw.clone();
    change(&mut profile);
    let limits = Limits {
        input_bytes: 1 << 30,
        pixels: 1 << 26,
        duration_s: 3600,
        streams: 32,
        wall_s: 60,
        cpu_s: 60,
        memory_bytes: 1 << 30,
        output_bytes: 1 << 30,
        scratch_bytes: 1 << 30,
    };
    let spec = JobSpec { task: Task::Normalize, profile, limits, threads: 1, nice: 0 };
    let job = move || {
        // SAFETY: no pointers are passed; from here on this thread has its own working directory.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_FS) }, 0);
        std::env::set_current_dir(dir.path()).expect("its directory");
        UNPROVEN.set(unproven);
        crate::transcode::warm();
        crate::transcode::run(&spec, &mut |_| ()).expect("a report")
    };
    std::thread::spawn(job).join().expect("no panic")
}

fn roles(report: &Report) -> Vec<Role> {
    report.produced.iter().map(|produced| produced.role).collect()
}

#[track_caller]
fn says(report: &Report, verdict: &str) {
    let found = report.reasons.iter().any(|entry| entry.verdict == verdict && entry.reason == "proof-failed");
    assert!(found, "{:?}", report.reasons);
}

#[test]
fn a_sound_whose_encoded_output_fails_its_check_is_kept_unchanged() {
    let report = make("voice-note.ogg", "audio.mp3", |profile| profile.waveform.picture = true);
    assert_eq!(report.action, Action::KeptOriginal);
    says(&report, "keep");
    assert_eq!(roles(&report), [Role::Waveform]);
    assert!(report.peaks.is_some_and(|peaks| peaks.length > 100));
    assert_eq!(report.loudness.expect("measured").gain_db, 0.0);
}

#[test]
fn its_stream_is_kept_if_players_know_the_codec() {
    let report = make("music.mp3", "audio.mp3", |profile| profile.audio.stereo_bit_rate = 32_000);
    assert!([Action::Copied, Action::Remuxed].contains(&report.action), "{report:?}");
    says(&report, "copy");
    assert_eq!(roles(&report)[0], Role::Playback);
    assert_ne!(report.produced[0].file, "audio.mp3");
}

#[test]
fn a_video_whose_encoded_output_fails_its_check_is_kept_unchanged_with_its_poster() {
    let report = make("browser.webm", "video.mp4", |_| ());
    assert_eq!(report.action, Action::KeptOriginal);
    says(&report, "keep");
    assert_eq!(roles(&report), [Role::Thumbnail]);
    assert!(report.duration_ms > Some(0));
}

#[test]
fn its_streams_are_kept_if_players_know_the_codecs() {
    let report = make("conforming.mp4", "video.mp4", |profile| profile.video.max_short_side = 100);
    assert_eq!(report.action, Action::Copied, "{report:?}");
    says(&report, "copy");
    assert_eq!(roles(&report), [Role::Playback, Role::Thumbnail]);
    assert_eq!(report.produced[0].file, INPUT);
}
