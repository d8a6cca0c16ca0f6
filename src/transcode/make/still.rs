//! Still pictures: facts, an upright thumbnail, and the original stays.

use std::fs::File;
use std::io::BufReader;

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::plan::{Container, DynamicRange, Facts, Media, Picture, Reader, StreamFacts};
use crate::task::Limits;
use crate::task::{INPUT, Produced};
use crate::transcode::av::{self, Decoder};
use crate::transcode::draw::picture;
use crate::transcode::draw::poster;
use crate::transcode::job::{Findings, Job, scratch};
use crate::transcode::read::cut;
use crate::transcode::read::probe;
use crate::vocabulary::{Damage, Kind, Orientation, Role};

/// A picture's facts, and why it was not decoded if it was not.
pub(in crate::transcode) struct Still {
    pub(in crate::transcode) facts: Facts,
    pub(in crate::transcode) undecoded: Option<Undecoded>,
}

/// Why a picture has no thumbnail. It is kept all the same: people may have a program that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Undecoded {
    /// Nothing here decodes this kind of picture.
    NoDecoder,
    /// Moving pictures in a format that is decoded as a still.
    Animated,
    /// More pixels than `limits.pixels`.
    TooLarge,
    /// The decoder finds no picture in the bytes.
    Damaged,
}

impl Undecoded {
    /// The stable word in events, and a sentence.
    pub(in crate::transcode) const fn reason(self) -> (&'static str, &'static str) {
        match self {
            Self::NoDecoder => ("no-decoder", "nothing here decodes this kind of picture: no thumbnail"),
            Self::Animated => ("animated", "libav does not read animated WebP: no thumbnail"),
            Self::TooLarge => ("limit-pixels", "it has more pixels than limits.pixels: no thumbnail"),
            Self::Damaged => ("undecodable", "its bytes are damaged or not what they claim: no thumbnail"),
        }
    }

    /// What a code means where a picture is kept; none where the file is to be rejected all the same.
    pub(in crate::transcode) const fn of(code: Code) -> Option<Self> {
        match code {
            Code::MediaUnreadable | Code::MediaNoStreams => Some(Self::Damaged),
            Code::LimitPixels => Some(Self::TooLarge),
            _ => None,
        }
    }
}

/// Why there is no frame.
enum NoFrame {
    /// The picture is to blame.
    Undecoded(Undecoded),
    /// The job ends.
    Fault(Fault),
}

impl From<Fault> for NoFrame {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Rejected { code, .. } => Undecoded::of(code).map_or(Self::Fault(fault), Self::Undecoded),
            fault => Self::Fault(fault),
        }
    }
}

/// A refusal of libav's: it says of some files that it cannot read such, of most only that their data is invalid.
fn refused(doing: &'static str) -> impl Fn(ff::Error) -> NoFrame {
    move |error| match (av::machine_fault(error, doing), error) {
        (Some(fault), _) => NoFrame::Fault(fault),
        (None, ff::Error::PatchWelcome | ff::Error::DecoderNotFound | ff::Error::Other { errno: libc::ENOSYS }) => {
            NoFrame::Undecoded(Undecoded::NoDecoder)
        }
        (None, _) => NoFrame::Undecoded(Undecoded::Damaged),
    }
}

/// What the header says.
///
/// # Errors
/// Those of the scratch directory.
pub(in crate::transcode) fn facts(container: Container, limits: &Limits) -> Result<Still, Fault> {
    let size_bytes = std::fs::metadata(INPUT).map_err(scratch)?.len();
    let exif = Exif::read();
    // A wrong size here is found out by the decoder, which has the same limit.
    let (width, height) = imagesize::size(INPUT)
        .ok()
        .and_then(|s| Some((u32::try_from(s.width).ok()?, u32::try_from(s.height).ok()?)))
        .unwrap_or((0, 0));
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
        Reader::None => Some(Undecoded::NoDecoder),
        _ if probe::check_size(width, height, limits).is_err() => Some(Undecoded::TooLarge),
        _ if container == Container::WebP && is_animated_webp() => Some(Undecoded::Animated),
        _ => None,
    };
    Ok(Still { facts, undecoded })
}

/// Decodes the picture and writes its thumbnail, or notes why there is none.
///
/// # Errors
/// This machine's trouble, and limits that end a child.
pub(in crate::transcode) fn thumbnail(still: &mut Still, job: &Job<'_>) -> Result<Findings, Fault> {
    let mut findings = Findings::default();
    if still.undecoded.is_some() {
        return Ok(findings);
    }
    match upright_picture(&mut still.facts, job.limits) {
        Ok(picture) => findings.produced.push(write_thumbnail(&picture, job)?),
        Err(NoFrame::Undecoded(why)) => {
            let why =
                if why == Undecoded::Damaged && is_whole(still.facts.container) { Undecoded::NoDecoder } else { why };
            still.undecoded = Some(why);
            let bad_packets = u64::from(why == Undecoded::Damaged);
            findings.damage = Damage { packets: 1, bad_packets, ..Damage::default() };
        }
        Err(NoFrame::Fault(fault)) => return Err(fault),
    }
    Ok(findings)
}

/// Whether the file is as long as it says, in the formats of which libav knows only a part and of the rest says no more than
/// that its data is invalid.
fn is_whole(container: Container) -> bool {
    matches!(container, Container::Avif | Container::Bmp | Container::Tiff)
        && File::open(INPUT).and_then(|mut file| cut::is_cut(&mut file, container)).is_ok_and(|cut| !cut)
}

fn upright_picture(facts: &mut Facts, limits: &Limits) -> Result<ff::frame::Video, NoFrame> {
    let frame = decode(facts.container, limits)?;
    let Some(Media::Video(source)) = facts.streams.first_mut().map(|s| &mut s.media) else {
        return Err(Fault::broken(Code::WorkerBroken, "a picture without a stream was to be decoded").into());
    };
    // What was decoded is the truth, and AVIF's own turning stands in its container.
    (source.coded_width, source.coded_height) = (frame.picture.width(), frame.picture.height());
    if let Some(orientation) = frame.orientation {
        source.orientation = orientation;
    }
    source.pixel_format = av::pixel_format_name(&frame.picture);
    let flat = picture::flatten(frame.picture)?;
    poster::show(flat, source).map_err(refused("turning the picture"))
}

/// Writes `thumbnail.jpg` from an upright frame.
///
/// # Errors
/// This machine's trouble.
pub(in crate::transcode) fn write_thumbnail(frame: &ff::frame::Video, job: &Job<'_>) -> Result<Produced, Fault> {
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

fn decode(container: Container, limits: &Limits) -> Result<Decoded, NoFrame> {
    match container.row().reader {
        Reader::Still(codec) => {
            let bytes = std::fs::read(INPUT).map_err(scratch)?;
            let decoder = Decoder::open_still(codec, limits.pixels).map_err(refused("opening the decoder"))?;
            let picture = first_frame(decoder, std::iter::once(ff::Packet::copy(&bytes)))?;
            Ok(Decoded { picture, orientation: None })
        }
        Reader::Demuxer(_) => decode_stream(container, limits),
        Reader::None => Err(Fault::broken(Code::WorkerBroken, "a picture without decoder was to be decoded").into()),
    }
}

fn decode_stream(container: Container, limits: &Limits) -> Result<Decoded, NoFrame> {
    let mut input = probe::try_open(INPUT, container)?.map_err(refused("opening the container"))?;
    let accepted = container.row().video;
    let stream = input.streams().find(|s| accepted.contains(&s.codec_name().as_str()));
    // A picture of tiles, or of an item that libav does not look for.
    let stream = stream.ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let (index, orientation) = (stream.index(), stream.orientation());
    let (width, height) = stream.size();
    probe::check_size(width, height, limits)?;
    let decoder = Decoder::open(&stream, 1, limits.pixels).map_err(refused("opening the decoder"))?;
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
) -> Result<ff::frame::Video, NoFrame> {
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
    let why = || refused("decoding")(decoder.refusal.unwrap_or(ff::Error::InvalidData));
    found.ok_or_else(why)
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
