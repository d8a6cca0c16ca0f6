//! From an opened input to facts.

use std::collections::BTreeMap;
use std::fs::File;

use ffmpeg_next as ff;

use super::cut;
use super::iso::iso_layout;
use super::sniff;
use crate::error::{Code, Fault};
use crate::plan::{Container, DynamicRange, Facts, Media, Picture, Reader, Sound, StreamFacts};
use crate::task::Limits;
use crate::transcode::av::{self, Input, StreamType, StreamView};
use crate::vocabulary::Kind;

/// Opens the input with its container's demuxer.
///
/// # Errors
/// [`Code::MediaUnreadable`] where the bytes are not what they claim.
pub(in crate::transcode) fn open(path: &str, container: Container) -> Result<Input, Fault> {
    try_open(path, container)?.map_err(av::reading("opening the container"))
}

/// As [`open`], with libav's own error where it refuses the bytes.
///
/// # Errors
/// Where the container has no demuxer.
pub(in crate::transcode) fn try_open(path: &str, container: Container) -> Result<Result<Input, ff::Error>, Fault> {
    let row = container.row();
    let Reader::Demuxer(demuxer) = row.reader else {
        return Err(Fault::broken(Code::WorkerBroken, format!("{} has no demuxer", row.name)));
    };
    let codecs: Vec<&str> = row.video.iter().chain(row.audio).copied().collect();
    Ok(Input::open(path, demuxer, &codecs))
}

/// Everything that is known before decoding, with the declared limits enforced.
///
/// # Errors
/// A limit's code, [`Code::MediaEncrypted`], [`Code::MediaNoStreams`], [`Code::MediaUnsupported`].
pub(in crate::transcode) fn facts(
    input: &Input,
    container: Container,
    file: &mut File,
    limits: &Limits,
) -> Result<Facts, Fault> {
    if input.stream_count() > limits.streams as usize {
        let text = format!("{} streams, at most {}", input.stream_count(), limits.streams);
        return Err(Fault::rejected(Code::LimitStreams, text));
    }
    let streams: Vec<StreamFacts> = input.streams().map(|s| stream_facts(&s, container)).collect();
    if input.streams().any(|s| s.is_encrypted()) {
        return Err(Fault::rejected(Code::MediaEncrypted, "the samples are encrypted"));
    }
    check_pixels(&streams, limits)?;
    let mut duration_ms = input.duration_ms();
    if input.restarts() {
        // What is really there is counted while it is read.
        duration_ms = duration_ms.filter(|ms| check_duration(*ms, limits).is_ok());
    }
    check_duration(duration_ms.unwrap_or(0), limits)?;
    let metadata = all_metadata(input);
    let layout = if container.is_iso() {
        iso_layout(file).unwrap_or_default()
    } else {
        crate::transcode::read::iso::IsoLayout::default()
    };
    let mut facts = Facts {
        container,
        kind: Kind::Document,
        size_bytes: file.metadata().map(|m| m.len()).unwrap_or(0),
        duration_ms,
        streams,
        created_at: created_at(&metadata),
        tags: ["title", "date"].into_iter().filter_map(|key| Some((key, metadata.get(key)?.clone()))).collect(),
        truncated: cut::is_cut(file, container).unwrap_or(false),
        faststart: match container {
            Container::Mp3 => sniff::mp3_says_its_length(file).unwrap_or(false),
            _ => layout.moov_first && !layout.fragmented,
        },
        private_metadata: layout.extra_boxes || metadata.keys().any(|key| !is_harmless(key)),
    };
    facts.kind = kind_of(&facts)?;
    fill_bit_rate(&mut facts);
    Ok(facts)
}

/// # Errors
/// [`Code::LimitDuration`].
pub(in crate::transcode) fn check_duration(duration_ms: u64, limits: &Limits) -> Result<(), Fault> {
    if duration_ms / 1000 <= limits.duration_s {
        return Ok(());
    }
    let text = format!("{} s, at most {}", duration_ms / 1000, limits.duration_s);
    Err(Fault::rejected(Code::LimitDuration, text))
}

fn check_pixels(streams: &[StreamFacts], limits: &Limits) -> Result<(), Fault> {
    for stream in streams {
        if let Media::Video(picture) = &stream.media {
            check_size(picture.coded_width, picture.coded_height, limits)?;
        }
    }
    Ok(())
}

/// # Errors
/// [`Code::LimitPixels`].
pub(in crate::transcode) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), Fault> {
    if u64::from(width) * u64::from(height) <= limits.pixels {
        return Ok(());
    }
    Err(Fault::rejected(Code::LimitPixels, format!("{width}x{height}, at most {} pixels", limits.pixels)))
}

fn kind_of(facts: &Facts) -> Result<Kind, Fault> {
    if facts.container.is_picture() {
        return Ok(Kind::Image);
    }
    match (facts.main_video(), facts.main_audio()) {
        // One frame is a picture, whatever it is wrapped in.
        (Some(_), _) => Ok(Kind::Video),
        (None, Some(_)) => Ok(Kind::Audio),
        (None, None) => Err(no_streams(facts)),
    }
}

fn no_streams(facts: &Facts) -> Fault {
    let codecs: Vec<&str> = facts
        .streams
        .iter()
        .filter(|s| matches!(&s.media, Media::Audio(_)) || matches!(&s.media, Media::Video(p) if !p.cover_art))
        .map(|s| s.codec.as_str())
        .collect();
    if codecs.is_empty() {
        return Fault::rejected(
            Code::MediaNoStreams,
            format!("{} without sound or picture", facts.container.row().name),
        );
    }
    let accepted = facts.container.row();
    if codecs.iter().any(|codec| accepted.video.contains(codec) || accepted.audio.contains(codec)) {
        return Fault::rejected(Code::MediaUnreadable, format!("{} stream without parameters", codecs.join(", ")));
    }
    Fault::rejected(Code::MediaUnsupported, format!("{} in {} is not accepted", codecs.join(", "), accepted.name))
}

fn stream_facts(stream: &StreamView<'_>, container: Container) -> StreamFacts {
    let codec = stream.codec_name();
    let row = container.row();
    let time_base = stream.time_base();
    let media = match stream.kind() {
        StreamType::Video => Media::Video(picture_facts(stream)),
        StreamType::Audio => Media::Audio(Sound { sample_rate_hz: stream.sample_rate(), channels: stream.channels() }),
        StreamType::Subtitle => Media::Subtitle,
        StreamType::Other => Media::Data,
    };
    let readable = match &media {
        Media::Video(p) => row.video.contains(&codec.as_str()) && p.coded_width > 0 && p.coded_height > 0,
        Media::Audio(s) => row.audio.contains(&codec.as_str()) && s.sample_rate_hz > 0 && s.channels > 0,
        Media::Subtitle | Media::Data => false,
    };
    StreamFacts {
        index: stream.index(),
        codec,
        profile: stream.profile_name(),
        bit_rate: stream.bit_rate(),
        start_ms: stream.start().map(|start| av::to_ms(start, time_base)),
        duration_ms: stream.duration().and_then(|d| u64::try_from(av::to_ms(d, time_base)).ok()),
        default: stream.is_default(),
        readable,
        media,
    }
}

fn picture_facts(stream: &StreamView<'_>) -> Picture {
    let (coded_width, coded_height) = stream.size();
    let (transfer, matrix) = stream.transfer_and_matrix();
    let (average, nominal) = stream.frame_rates();
    Picture {
        coded_width,
        coded_height,
        sample_aspect_ratio: stream.sample_aspect_ratio(),
        orientation: stream.orientation(),
        pixel_format: stream.pixel_format().unwrap_or_default(),
        frame_rate: average.or(nominal).filter(|rate| *rate < 1000.0),
        level: stream.level(),
        // Numbers of ITU-T H.273, table 3.
        dynamic_range: match transfer {
            16 => DynamicRange::Pq,
            18 => DynamicRange::Hlg,
            _ => DynamicRange::Sdr,
        },
        color_space: match matrix {
            1 => Some("bt709".to_owned()),
            5 | 6 => Some("bt601".to_owned()),
            9 | 10 => Some("bt2020".to_owned()),
            _ => None,
        },
        interlaced: stream.is_interlaced(),
        cover_art: stream.is_attached_picture(),
    }
}

/// Where only the whole file's size and length are known, they give the bit rate of the only real stream.
fn fill_bit_rate(facts: &mut Facts) {
    let playable = facts.streams.iter().filter(|s| s.readable).count();
    let (Some(duration_ms), size_bytes) = (facts.duration_ms.filter(|d| *d > 0), facts.size_bytes) else { return };
    if let Some(stream) = facts.streams.iter_mut().find(|s| s.readable && s.bit_rate.is_none())
        && playable == 1
    {
        stream.bit_rate = Some(size_bytes.saturating_mul(8000) / duration_ms);
    }
}

fn all_metadata(input: &Input) -> BTreeMap<String, String> {
    let mut all = input.metadata();
    for stream in input.streams() {
        for (key, value) in stream.metadata() {
            all.entry(key).or_insert(value);
        }
    }
    all
}

/// Keys that say nothing of the person or the place.
fn is_harmless(key: &str) -> bool {
    let known = [
        "major_brand",
        "minor_version",
        "compatible_brands",
        "creation_time",
        "encoder",
        "handler_name",
        "vendor_id",
        "language",
        "title",
        "date",
        "duration",
        "tsse",
    ];
    known.contains(&key)
}

/// RFC 3339 with nanoseconds and a zone has 35.
const MAX_TIME_BYTES: usize = 40;

fn created_at(metadata: &BTreeMap<String, String>) -> Option<String> {
    // Apple's own key has the time zone that the standard field lacks.
    let value = metadata.get("com.apple.quicktime.creationdate").or_else(|| metadata.get("creation_time"))?;
    // Zero is 1904 or 1970: a clock that was never set.
    let year: i32 = value.get(..4)?.parse().ok()?;
    // Whatever else somebody has written there is not for an event.
    let is_time = value.len() <= MAX_TIME_BYTES && value.bytes().all(|b| b.is_ascii_digit() || b"TZ:+-. ".contains(&b));
    (year > 1990 && is_time).then(|| value.clone())
}
