//! Tests of plans. Each builds facts and compares the exact decisions; no codec runs.

use std::path::Path;

use super::decide::*;
use super::settings::{mp3_settings, video_settings};
use super::{Container, DynamicRange, Facts, Media, Picture, Sound, StreamFacts, Unkeepable, fit_audio, fit_video};
use crate::config::Profiles;
use crate::profile::Profile;
use crate::vocabulary::{Action, Kind, Orientation, Reason};

pub(in crate::plan) fn profile() -> Profile {
    let profiles = Profiles::load(Path::new("")).expect("the built-in profiles");
    Profile::from_raw(&profiles.get("crm").expect("crm").raw).expect("a good profile")
}

/// A picture as a phone records it: 720p30 H.264 High at 2 Mbit/s.
pub(in crate::plan) fn picture() -> Picture {
    Picture {
        coded_width: 1280,
        coded_height: 720,
        sample_aspect_ratio: (1, 1),
        orientation: Orientation::default(),
        pixel_format: "yuv420p".to_owned(),
        frame_rate: Some(30.0),
        level: Some(31),
        reorders: false,
        dynamic_range: DynamicRange::Sdr,
        color_space: Some("bt709".to_owned()),
        interlaced: false,
        cover_art: false,
        frames: None,
    }
}

fn stream(index: usize, codec: &str, profile: &str, bit_rate: u64, media: Media) -> StreamFacts {
    StreamFacts {
        index,
        codec: codec.to_owned(),
        profile: (!profile.is_empty()).then(|| profile.to_owned()),
        bit_rate: Some(bit_rate),
        start_ms: Some(0),
        duration_ms: Some(10_000),
        default: true,
        readable: true,
        samples: None,
        unkeepable: None,
        media,
    }
}

pub(in crate::plan) fn video(index: usize) -> StreamFacts {
    stream(index, "h264", "High", 2_000_000, Media::Video(picture()))
}

pub(in crate::plan) fn sound(
    index: usize,
    codec: &str,
    bit_rate: u64,
    sample_rate_hz: u32,
    channels: u32,
) -> StreamFacts {
    let profile = if codec == "aac" { "LC" } else { "" };
    stream(index, codec, profile, bit_rate, Media::Audio(Sound { sample_rate_hz, channels }))
}

fn aac(index: usize) -> StreamFacts {
    sound(index, "aac", 96_000, 48_000, 2)
}

fn facts(container: Container, kind: Kind, streams: Vec<StreamFacts>) -> Facts {
    Facts {
        container,
        kind,
        size_bytes: 2_600_000,
        duration_ms: Some(10_000),
        streams,
        created_at: None,
        tags: Vec::new(),
        truncated: false,
        complete: true,
        faststart: true,
        private_metadata: false,
    }
}

fn film() -> Facts {
    facts(Container::Mp4, Kind::Video, vec![video(0), aac(1)])
}

/// The decisions in one line: `0:copy:conforms 1:drop:data`.
fn decisions(plan: &Plan) -> String {
    let entry = |reason: &Reason| {
        let stream = reason.stream.map_or_else(|| "file".to_owned(), |index| index.to_string());
        format!("{stream}:{}:{}", reason.verdict, reason.reason)
    };
    plan.reasons.iter().map(entry).collect::<Vec<_>>().join(" ")
}

fn changed(mut facts: Facts, change: impl FnOnce(&mut StreamFacts, &mut Picture)) -> Facts {
    let stream = &mut facts.streams[0];
    let Media::Video(mut picture) = stream.media.clone() else { panic!("the first stream is a picture") };
    change(stream, &mut picture);
    stream.media = Media::Video(picture);
    facts
}

#[test]
fn films() {
    let cases: Vec<(&str, Facts, Action, &str)> = vec![
        ("conforming", film(), Action::Copied, "0:copy:conforms 1:copy:conforms"),
        (
            "index at the end",
            Facts { faststart: false, ..film() },
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms file:remux:faststart",
        ),
        (
            "QuickTime",
            Facts { container: Container::Mov, ..film() },
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms file:remux:container",
        ),
        (
            "with a place in it",
            Facts { private_metadata: true, ..film() },
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms file:remux:private-metadata",
        ),
        (
            "cut off",
            Facts { truncated: true, ..film() },
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms file:remux:truncated",
        ),
        (
            "data and subtitles",
            facts(
                Container::Mp4,
                Kind::Video,
                vec![
                    video(0),
                    aac(1),
                    stream(2, "none", "", 0, Media::Data),
                    stream(3, "mov_text", "", 0, Media::Subtitle),
                ],
            ),
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms 2:drop:data 3:drop:subtitle file:remux:extra-streams",
        ),
        (
            "HEVC",
            changed(film(), |stream, _| stream.codec = "hevc".to_owned()),
            Action::Encoded,
            "0:encode:codec 1:copy:conforms",
        ),
        (
            "HLG",
            changed(film(), |_, picture| picture.dynamic_range = DynamicRange::Hlg),
            Action::Encoded,
            "0:encode:dynamic-range 1:copy:conforms",
        ),
        (
            "ten bits",
            changed(film(), |_, picture| picture.pixel_format = "yuv420p10le".to_owned()),
            Action::Encoded,
            "0:encode:pixel-format 1:copy:conforms",
        ),
        (
            "High 4:2:2",
            changed(film(), |stream, _| stream.profile = Some("High 4:2:2".to_owned())),
            Action::Encoded,
            "0:encode:profile 1:copy:conforms",
        ),
        (
            "fields",
            changed(film(), |_, picture| picture.interlaced = true),
            Action::Encoded,
            "0:encode:interlaced 1:copy:conforms",
        ),
        (
            "too large",
            changed(film(), |_, picture| (picture.coded_width, picture.coded_height) = (1920, 1080)),
            Action::Encoded,
            "0:encode:resolution 1:copy:conforms",
        ),
        (
            "upright and within the caps once turned",
            changed(film(), |_, picture| {
                picture.orientation = Orientation { rotation_degrees: 90, mirrored: false };
            }),
            Action::Copied,
            "0:copy:conforms 1:copy:conforms",
        ),
        (
            "oblong pixels",
            changed(film(), |_, picture| {
                (picture.coded_width, picture.coded_height) = (720, 576);
                picture.sample_aspect_ratio = (16, 15);
            }),
            Action::Encoded,
            "0:encode:aspect-ratio 1:copy:conforms",
        ),
        (
            "level 5.1",
            changed(film(), |_, picture| picture.level = Some(51)),
            Action::Encoded,
            "0:encode:level 1:copy:conforms",
        ),
        (
            "60 frames/s",
            changed(film(), |_, picture| picture.frame_rate = Some(60.0)),
            Action::Encoded,
            "0:encode:frame-rate 1:copy:conforms",
        ),
        (
            "30000/1001 and a rounded 30",
            changed(film(), |_, picture| picture.frame_rate = Some(30.02)),
            Action::Copied,
            "0:copy:conforms 1:copy:conforms",
        ),
        (
            "20 Mbit/s",
            changed(film(), |stream, _| stream.bit_rate = Some(20_000_000)),
            Action::Encoded,
            "0:encode:bit-rate 1:copy:conforms",
        ),
        (
            "Opus beside H.264",
            facts(Container::Matroska, Kind::Video, vec![video(0), sound(1, "opus", 64_000, 48_000, 2)]),
            Action::Encoded,
            "0:copy:conforms 1:encode:codec",
        ),
        (
            "5.1 sound",
            facts(Container::Mp4, Kind::Video, vec![video(0), sound(1, "aac", 384_000, 48_000, 6)]),
            Action::Encoded,
            "0:copy:conforms 1:encode:channels",
        ),
        (
            "two sounds",
            facts(Container::Mp4, Kind::Video, vec![video(0), aac(1), StreamFacts { default: false, ..aac(2) }]),
            Action::Remuxed,
            "0:copy:conforms 1:copy:conforms 2:drop:second-audio file:remux:extra-streams",
        ),
        ("silent", facts(Container::Mp4, Kind::Video, vec![video(0)]), Action::Copied, "0:copy:conforms"),
    ];
    for (name, facts, action, reasons) in cases {
        let plan = plan(&facts, &profile());
        assert_eq!((plan.action, decisions(&plan).as_str(), plan.output), (action, reasons, Output::Mp4), "{name}");
    }
}

#[test]
fn sounds() {
    let of = |container, stream| facts(container, Kind::Audio, vec![stream]);
    let cases: Vec<(&str, Facts, Action, &str)> = vec![
        ("a voice note", of(Container::Ogg, sound(0, "opus", 16_000, 48_000, 1)), Action::Encoded, "0:encode:codec"),
        ("MP3", of(Container::Mp3, sound(0, "mp3", 112_000, 44_100, 2)), Action::Copied, "0:copy:conforms"),
        (
            "MP3, wasteful",
            of(Container::Mp3, sound(0, "mp3", 320_000, 44_100, 2)),
            Action::Encoded,
            "0:encode:bit-rate",
        ),
        (
            "MP3 in a video container",
            of(Container::Mp4, sound(0, "mp3", 40_000, 24_000, 1)),
            Action::Remuxed,
            "0:copy:conforms file:remux:container",
        ),
        (
            "six channels",
            of(Container::Wav, sound(0, "pcm_s16le", 4_608_000, 48_000, 6)),
            Action::Encoded,
            "0:encode:codec",
        ),
    ];
    for (name, facts, action, reasons) in cases {
        let plan = plan(&facts, &profile());
        assert_eq!((plan.action, decisions(&plan).as_str(), plan.output), (action, reasons, Output::Mp3), "{name}");
    }
}

#[test]
fn a_cover_is_dropped_and_a_codec_that_is_not_accepted_too() {
    let cover = Media::Video(Picture { cover_art: true, ..picture() });
    let song = facts(
        Container::Mp3,
        Kind::Audio,
        vec![
            sound(0, "mp3", 320_000, 44_100, 2),
            stream(1, "mjpeg", "", 0, cover),
            StreamFacts { readable: false, ..sound(2, "dsd_lsbf", 0, 0, 0) },
        ],
    );
    let plan = plan(&song, &profile());
    assert_eq!(decisions(&plan), "0:encode:bit-rate 1:drop:cover-art 2:drop:unsupported-codec");
}

#[test]
fn pictures_and_documents_are_kept() {
    for kind in [Kind::Image, Kind::Document] {
        let plan = plan(&facts(Container::Jpeg, kind, Vec::new()), &profile());
        assert_eq!((plan.action, plan.output), (Action::KeptOriginal, Output::Nothing));
        assert_eq!(plan.reasons.len(), 1);
    }
}

#[test]
fn sizes_fit_the_caps_are_even_and_keep_their_shape() {
    for ((width, height), expected) in [
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((3840, 2160), (1280, 720)),
        ((1280, 1280), (720, 720)),
        ((2000, 200), (1280, 128)),
        ((321, 241), (320, 240)),
        ((1, 1), (2, 2)),
    ] {
        let source = Picture { coded_width: width, coded_height: height, ..picture() };
        let settings = video_settings(&video(0), &source, &profile().video);
        let near = |a: u32, b: u32| a.abs_diff(b) <= 2;
        assert!(
            near(settings.width, expected.0) && near(settings.height, expected.1),
            "{width}x{height}: {settings:?}"
        );
        assert_eq!((settings.width % 2, settings.height % 2), (0, 0));
    }
}

#[test]
fn a_rate_that_mp3_has_is_chosen_and_never_more_than_the_source_has() {
    let audio = profile().audio;
    let of = |sample_rate_hz, channels| mp3_settings(Sound { sample_rate_hz, channels }, &audio);
    assert_eq!(of(48_000, 1).sample_rate_hz, 24_000);
    assert_eq!(of(8_000, 1).sample_rate_hz, 16_000);
    assert_eq!(of(16_000, 1).sample_rate_hz, 16_000);
    assert_eq!(of(96_000, 2).sample_rate_hz, 44_100);
    assert_eq!(of(22_050, 2).sample_rate_hz, 22_050);
    assert_eq!(of(48_000, 6).channels, 2);
}

#[test]
fn a_budget_lowers_the_rate_step_by_step_and_ends() {
    let wanted = mp3_settings(Sound { sample_rate_hz: 44_100, channels: 2 }, &profile().audio);
    let minute = |max_bytes| fit_audio(&wanted, max_bytes, 60_000).map(|s| (s.bit_rate, s.sample_rate_hz, s.channels));
    assert_eq!(minute(1_000_000), Some((112_000, 44_100, 2)));
    assert_eq!(minute(500_000), Some((64_000, 44_100, 2)));
    assert_eq!(minute(80_000), Some((8_000, 24_000, 2)));
    assert_eq!(minute(50_000), None);
    let wanted = video_settings(&video(0), &picture(), &profile().video);
    let minute = |max_bytes| fit_video(&wanted, 30.0, max_bytes, 60_000, 96_000, 0.95);
    let roomy = minute(16_000_000).expect("it fits");
    assert_eq!((roomy.width, roomy.height), (1280, 720));
    let tight = minute(2_000_000).expect("it fits");
    assert!(tight.width < 720 && tight.height % 2 == 0, "{tight:?}");
    assert_eq!(minute(700_000), None);
}

#[test]
fn the_never_larger_rule_keeps_playable_streams() {
    let profile = profile();
    let large = changed(film(), |stream, picture| {
        (picture.coded_width, picture.coded_height) = (1920, 1080);
        stream.bit_rate = Some(100_000);
    });
    let plan = remux_plan(&large, &profile).expect("a player opens it as it is");
    assert_eq!((plan.action, decisions(&plan).as_str()), (Action::Copied, "0:copy:never-larger 1:copy:never-larger"));
    let hevc = changed(film(), |stream, _| stream.codec = "hevc".to_owned());
    assert_eq!(remux_plan(&hevc, &profile), None);
    let opus = facts(Container::Ogg, Kind::Audio, vec![sound(0, "opus", 16_000, 48_000, 1)]);
    assert_eq!(remux_plan(&opus, &profile), None);
    let memo = facts(Container::M4a, Kind::Audio, vec![sound(0, "aac", 32_000, 44_100, 1)]);
    assert_eq!(remux_plan(&memo, &profile).map(|plan| plan.output), Some(Output::M4a));
}

#[test]
fn a_hidden_end_that_is_needed_is_kept_in_the_file_itself_only() {
    let cut = changed(film(), |stream, _| stream.unkeepable = Some(Unkeepable::HiddenEnd));
    assert_eq!(decisions(&plan(&cut, &profile())), "0:copy:conforms 1:copy:conforms");
    assert!(remux_plan(&cut, &profile()).is_some());
    let slow = Facts { faststart: false, ..cut };
    assert_eq!(decisions(&plan(&slow, &profile())), "0:encode:edit-list 1:copy:conforms");
    assert_eq!(remux_plan(&slow, &profile()), None);
}

#[test]
fn a_failed_copy_is_encoded_and_says_why() {
    let plan = encode_plan(&film(), &profile(), ("proof", "a keyframe cannot be decoded"));
    assert_eq!((plan.action, decisions(&plan).as_str()), (Action::Encoded, "0:encode:proof 1:encode:proof"));
    assert!(plan.video.as_ref().and_then(Track::settings).is_some());
    assert!(plan.reasons.iter().all(|reason| reason.detail.as_deref() == Some("a keyframe cannot be decoded")));
}
