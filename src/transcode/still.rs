//! Still pictures: facts, an upright thumbnail, and the original stays.

use std::fs::File;
use std::io::BufReader;

use ffmpeg_next as ff;

use super::av::{self, Decoder};
use super::job::{Findings, Job, scratch};
use super::picture;
use super::poster;
use super::probe;
use crate::config::Limits;
use crate::domain::{Container, DynamicRange, Facts, Media, Picture, Reader, StreamFacts};
use crate::error::{Code, Fault};
use crate::events::{Kind, Orientation, Role};
use crate::sandbox::protocol::{INPUT, Produced};

/// A picture's facts, and why it was not decoded if it was not.
pub(super) struct Still {
    pub(super) facts: Facts,
    /// `animated`, `no-decoder`: stable reasons for events.
    pub(super) undecoded: Option<&'static str>,
}

/// What the header says.
///
/// # Errors
/// [`Code::LimitPixels`], [`Code::MediaUnreadable`].
pub(super) fn facts(container: Container, limits: &Limits) -> Result<Still, Fault> {
    let size_bytes = std::fs::metadata(INPUT).map_err(scratch)?.len();
    let exif = Exif::read();
    // A wrong size here is found out by the decoder, which has the same limit.
    let (width, height) = imagesize::size(INPUT)
        .ok()
        .and_then(|s| Some((u32::try_from(s.width).ok()?, u32::try_from(s.height).ok()?)))
        .unwrap_or((0, 0));
    probe::check_size(width, height, limits)?;
    let row = container.row();
    // HEIF says by properties of the item how a picture is turned, which its size here respects, and EXIF repeats it.
    let by_container = matches!(container, Container::Heic | Container::Avif);
    let picture = Picture {
        coded_width: width,
        coded_height: height,
        sample_aspect_ratio: (1, 1),
        orientation: if by_container { Orientation::default() } else { exif.orientation },
        pixel_format: String::new(),
        frame_rate: None,
        level: None,
        dynamic_range: DynamicRange::Sdr,
        color_space: None,
        interlaced: false,
        cover_art: false,
    };
    let stream = StreamFacts {
        index: 0,
        codec: row.video.first().copied().unwrap_or(row.name).to_owned(),
        profile: None,
        bit_rate: None,
        start_ms: None,
        duration_ms: None,
        default: true,
        readable: row.reader != Reader::None,
        media: Media::Video(picture),
    };
    let facts = Facts {
        container,
        kind: Kind::Image,
        size_bytes,
        duration_ms: None,
        streams: vec![stream],
        created_at: exif.created_at,
        tags: Vec::new(),
        truncated: false,
        faststart: false,
        private_metadata: false,
    };
    let undecoded = match row.reader {
        Reader::None => Some("no-decoder"),
        _ if container == Container::WebP && is_animated_webp() => Some("animated"),
        _ => None,
    };
    Ok(Still { facts, undecoded })
}

/// Decodes the picture and writes its thumbnail.
///
/// # Errors
/// [`Code::MediaUnreadable`] where nothing can be decoded.
pub(super) fn thumbnail(still: &mut Still, job: &Job<'_>) -> Result<Findings, Fault> {
    let mut findings = Findings::default();
    if still.undecoded.is_some() {
        return Ok(findings);
    }
    let frame = decode(still.facts.container, job.limits)?;
    if let Some(Media::Video(source)) = still.facts.streams.first_mut().map(|s| &mut s.media) {
        // What was decoded is the truth, and AVIF's own turning stands in its container.
        (source.coded_width, source.coded_height) = (frame.picture.width(), frame.picture.height());
        if let Some(orientation) = frame.orientation {
            source.orientation = orientation;
        }
        source.pixel_format = av::pixel_format_name(&frame.picture);
        let flat = picture::flatten(frame.picture)?;
        let upright = poster::show(flat, source).map_err(av::reading("turning the picture"))?;
        findings.produced.push(write_thumbnail(&upright, job)?);
    }
    Ok(findings)
}

/// Writes `thumbnail.jpg` from an upright frame.
///
/// # Errors
/// This machine's trouble.
pub(super) fn write_thumbnail(frame: &ff::frame::Video, job: &Job<'_>) -> Result<Produced, Fault> {
    let (bytes, width, height) = picture::thumbnail(frame, job.profile.thumbnail)?;
    std::fs::write("thumbnail.jpg", bytes).map_err(scratch)?;
    Ok(Produced {
        role: Role::Thumbnail,
        file: "thumbnail.jpg".to_owned(),
        object: "thumbnail.jpg".to_owned(),
        mime_type: "image/jpeg".to_owned(),
        codecs: vec!["mjpeg".to_owned()],
        width: Some(width),
        height: Some(height),
        duration_ms: None,
        bit_rate: None,
    })
}

struct Decoded {
    picture: ff::frame::Video,
    /// From the container; none where EXIF decides.
    orientation: Option<Orientation>,
}

fn decode(container: Container, limits: &Limits) -> Result<Decoded, Fault> {
    match container.row().reader {
        Reader::Still(codec) => {
            let bytes = std::fs::read(INPUT).map_err(scratch)?;
            let decoder = Decoder::open_still(codec, limits.pixels).map_err(av::reading("opening the decoder"))?;
            let picture = first_frame(decoder, std::iter::once(ff::Packet::copy(&bytes)))?;
            Ok(Decoded { picture, orientation: None })
        }
        Reader::Demuxer(_) => decode_stream(container, limits),
        Reader::None => Err(Fault::broken(Code::WorkerBroken, "a picture without decoder was to be decoded")),
    }
}

fn decode_stream(container: Container, limits: &Limits) -> Result<Decoded, Fault> {
    let mut input = probe::open(INPUT, container)?;
    let accepted = container.row().video;
    let stream = input.streams().find(|s| accepted.contains(&s.codec_name().as_str()));
    let Some(stream) = stream else {
        return Err(Fault::rejected(Code::MediaNoStreams, "the container holds no picture"));
    };
    let (index, orientation) = (stream.index(), stream.orientation());
    let (width, height) = stream.size();
    probe::check_size(width, height, limits)?;
    let decoder = Decoder::open(&stream, 1, limits.pixels).map_err(av::reading("opening the decoder"))?;
    let packets = std::iter::from_fn(|| {
        let mut packet = ff::Packet::empty();
        loop {
            match input.read(&mut packet) {
                Ok(true) if packet.stream() == index => return Some(packet),
                Ok(true) => {}
                Ok(false) | Err(_) => return None,
            }
        }
    });
    let picture = first_frame(decoder, packets.take(64))?;
    Ok(Decoded { picture, orientation: Some(orientation).filter(|o| *o != Orientation::default()) })
}

fn first_frame(
    mut decoder: Decoder<ff::frame::Video>,
    packets: impl Iterator<Item = ff::Packet>,
) -> Result<ff::frame::Video, Fault> {
    let mut found: Option<ff::frame::Video> = None;
    let mut keep = |frame: &mut ff::frame::Video| {
        if found.is_none() {
            found = Some(std::mem::replace(frame, ff::frame::Video::empty()));
        }
        Ok(())
    };
    for packet in packets {
        decoder.push(Some(&packet), &mut keep)?;
    }
    decoder.push(None, &mut keep)?;
    found.ok_or_else(|| Fault::rejected(Code::MediaUnreadable, "no picture can be decoded"))
}

fn is_animated_webp() -> bool {
    // VP8X flags (RFC 9649, 2.7): bit 1 is animation.
    std::fs::read(INPUT)
        .is_ok_and(|bytes| bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0))
}

#[derive(Default)]
struct Exif {
    orientation: Orientation,
    created_at: Option<String>,
}

impl Exif {
    fn read() -> Self {
        let Ok(file) = File::open(INPUT) else { return Self::default() };
        let read = exif::Reader::new().continue_on_error(true).read_from_container(&mut BufReader::new(file));
        let fields = match read {
            Ok(fields) => fields,
            Err(exif::Error::PartialResult(partial)) => partial.into_inner().0,
            Err(_) => return Self::default(),
        };
        let orientation = fields
            .get_field(exif::Tag::Orientation, exif::In::PRIMARY)
            .and_then(|field| field.value.get_uint(0))
            .map(orientation_of)
            .unwrap_or_default();
        Self { orientation, created_at: created_at(&fields) }
    }
}

/// EXIF 2.32, 4.6.4: the tag says where the coded rows and columns stand.
fn orientation_of(tag: u32) -> Orientation {
    let (rotation_degrees, mirrored) = match tag {
        2 => (0, true),
        3 => (180, false),
        4 => (180, true),
        5 => (270, true),
        6 => (90, false),
        7 => (90, true),
        8 => (270, false),
        _ => (0, false),
    };
    Orientation { rotation_degrees, mirrored }
}

fn created_at(fields: &exif::Exif) -> Option<String> {
    let field = fields.get_field(exif::Tag::DateTimeOriginal, exif::In::PRIMARY)?;
    let exif::Value::Ascii(lines) = &field.value else { return None };
    let time = exif::DateTime::from_ascii(lines.first()?).ok()?;
    (time.year > 1990).then(|| {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            time.year, time.month, time.day, time.hour, time.minute, time.second
        )
    })
}
