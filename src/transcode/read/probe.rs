//! Reads the facts from an opened input.

use std::collections::BTreeMap;
use std::fs::File;

use ffmpeg_next as ff;

use super::cut::{self, Extent};
use super::edits::empty_edits;
use super::iso::{IsoLayout, iso_layout};
use super::sniff;
use crate::error::{Code, Fault};
use crate::plan::{Container, DynamicRange, Facts, Media, Picture, Reader, Sound, StreamFacts, Unkeepable};
use crate::task::Limits;
use crate::transcode::av::{self, Edits, Input, StreamType, StreamView};
use crate::vocabulary::Kind;

/// Opens the input with the demuxer of its container.
///
/// # Errors
/// [`Code::MediaUnreadable`] if the bytes are not of that container.
pub(in crate::transcode) fn open(path: &str, container: Container) -> Result<Input, Fault> {
    try_open(path, container)?.map_err(av::reading("opening the container"))
}

/// As [`open`], but returns libav's own error if it refuses the bytes.
///
/// # Errors
/// If the container has no demuxer.
pub(in crate::transcode) fn try_open(path: &str, container: Container) -> Result<Result<Input, ff::Error>, Fault> {
    let row = container.row();
    let (Reader::Demuxer(demuxer) | Reader::Items(demuxer)) = row.reader else {
        return Err(Fault::broken(Code::WorkerBroken, format!("{} has no demuxer", row.name)));
    };
    let codecs: Vec<&str> = row.video.iter().chain(row.audio).copied().collect();
    let mut input = Input::open(path, demuxer, &codecs);
    if let (Ok(input), true) = (&mut input, container.is_iso()) {
        // If the boxes cannot be walked, the edit lists are shown as libav reads them.
        let edits = File::open(path).and_then(|mut file| empty_edits(&mut file));
        input.leave_empty(edits.unwrap_or_default());
    }
    Ok(input)
}

/// Everything that is known before decoding. Enforces the limits on declared values.
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
        let text =
            format!("the file has {} streams, more than limits.streams ({})", input.stream_count(), limits.streams);
        return Err(Fault::rejected(Code::LimitStreams, text));
    }
    let layout = if container.is_iso() { iso_layout(file).unwrap_or_default() } else { IsoLayout::default() };
    let indexed = container.is_iso() && !layout.fragmented;
    let mut streams: Vec<StreamFacts> = input.streams().map(|s| stream_facts(&s, container, indexed)).collect();
    for stream in streams.iter_mut().filter(|stream| input.has_gaps(stream.index)) {
        stream.unkeepable = Some(Unkeepable::EditList);
    }
    if input.streams().any(|s| s.is_encrypted()) {
        return Err(Fault::rejected(Code::MediaEncrypted, "the file's samples are encrypted"));
    }
    check_pixels(&streams, limits)?;
    // A declared length may be wrong. One beyond the limit is ignored, and the real length is counted while the file is
    // read.
    let is_allowed = |ms: &u64| check_duration(*ms, limits).is_ok();
    let duration_ms = input.duration_ms().filter(is_allowed);
    for stream in &mut streams {
        stream.duration_ms = within_film(stream, layout.film_ms.filter(|_| indexed)).filter(is_allowed);
    }
    let extent = cut::extent(file, container).unwrap_or(Extent::Unknown);
    let metadata = all_metadata(input);
    let mut facts = Facts {
        container,
        kind: Kind::Document,
        size_bytes: file.metadata().map(|m| m.len()).unwrap_or(0),
        duration_ms,
        streams,
        created_at: created_at(&metadata),
        tags: ["title", "date"].into_iter().filter_map(|key| Some((key, metadata.get(key)?.clone()))).collect(),
        truncated: extent == Extent::Cut,
        complete: extent == Extent::Complete,
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

/// The length of a stream, at most that of its movie: libav counts an empty first edit twice. A movie length that is
/// much shorter than its streams is ignored.
fn within_film(stream: &StreamFacts, film_ms: Option<u64>) -> Option<u64> {
    let duration_ms = stream.duration_ms?;
    let start_ms = u64::try_from(stream.start_ms.unwrap_or(0)).unwrap_or(0);
    let left_ms = film_ms.and_then(|film_ms| film_ms.checked_sub(start_ms)).filter(|left| left * 2 > duration_ms);
    Some(left_ms.map_or(duration_ms, |left_ms| duration_ms.min(left_ms)))
}

/// # Errors
/// [`Code::LimitDuration`].
pub(in crate::transcode) fn check_duration(duration_ms: u64, limits: &Limits) -> Result<(), Fault> {
    if duration_ms / 1000 <= limits.duration_s {
        return Ok(());
    }
    let text =
        format!("the file lasts {} s, longer than limits.duration_s ({})", duration_ms / 1000, limits.duration_s);
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
    Err(Fault::rejected(
        Code::LimitPixels,
        format!("a picture has {width}x{height}, more than limits.pixels ({})", limits.pixels),
    ))
}

fn kind_of(facts: &Facts) -> Result<Kind, Fault> {
    if facts.container.is_picture() {
        return Ok(Kind::Image);
    }
    match (facts.main_video(), facts.main_audio()) {
        // A track without any sample shows nothing.
        (Some((picture, _)), Some((sound, _))) if !picture.has_samples() && sound.has_samples() => Ok(Kind::Audio),
        // One frame is enough for a video: whether it is a picture was decided by the container.
        (Some(_), _) => Ok(Kind::Video),
        // A file with a picture is not a sound, even if nothing can decode the picture.
        (None, Some(_)) if facts.unread_picture().is_some() => Ok(Kind::Video),
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
            format!("the {} file has neither sound nor picture", facts.container.row().name),
        );
    }
    let accepted = facts.container.row();
    if codecs.iter().any(|codec| accepted.video.contains(codec) || accepted.audio.contains(codec)) {
        return Fault::rejected(Code::MediaUnreadable, format!("the {} stream has no parameters", codecs.join(", ")));
    }
    Fault::rejected(Code::MediaUnsupported, format!("{} in {} is not accepted", codecs.join(", "), accepted.name))
}

fn stream_facts(stream: &StreamView<'_>, container: Container, indexed: bool) -> StreamFacts {
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
        samples: indexed.then(|| stream.index_entries()),
        unkeepable: match stream.edits() {
            Edits::Between if indexed => Some(Unkeepable::EditList),
            Edits::NeededEnd if indexed => Some(Unkeepable::HiddenEnd),
            _ => None,
        },
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
        reorders: stream.reorders(),
        // Numbers from ITU-T H.273, table 3.
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
        frames: None,
    }
}

/// If only the file's size and length are known, computes the bit rate of its only real stream from them.
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

/// Whether a metadata key says nothing about a person or a place.
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

/// A time in RFC 3339 with nanoseconds and a zone has 35 bytes.
const MAX_TIME_BYTES: usize = 40;

fn created_at(metadata: &BTreeMap<String, String>) -> Option<String> {
    // Apple's own key includes the time zone, which the standard field lacks.
    let value = metadata.get("com.apple.quicktime.creationdate").or_else(|| metadata.get("creation_time"))?;
    // Zero means 1904 or 1970: the clock was never set.
    let year: i32 = value.get(..4)?.parse().ok()?;
    // Any other text must not get into an event.
    let is_time = value.len() <= MAX_TIME_BYTES && value.bytes().all(|b| b.is_ascii_digit() || b"TZ:+-. ".contains(&b));
    (year > 1990 && is_time).then(|| value.clone())
}
