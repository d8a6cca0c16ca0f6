//! Still pictures: facts, an upright thumbnail, a rendition if programs do not show the original. The original is kept.

mod bmp;
mod cursor;
mod decode;
mod exif;
mod first;
mod heif;
mod heif_overlay;
mod heif_picture;
mod heif_property;
mod icc;
mod jpeg;
mod jxl;
mod png;
mod raster;
mod reduce;
mod rendition;
mod strip;
mod tiff;
mod tiff_palette;
mod webp;

use std::fs::File;
use std::io::Read as _;

use ffmpeg_next as ff;

use self::exif::Exif;
use self::heif::Heif;
use self::raster::Raster;
use crate::error::{Code, Fault};
use crate::plan::{Container, DynamicRange, Facts, Media, Picture, Reader, Rendition, StreamFacts};
use crate::task::{INPUT, Produced};
use crate::transcode::av;
use crate::transcode::draw::picture;
use crate::transcode::job::{Findings, Job, scratch};
use crate::transcode::read::cut;
use crate::vocabulary::{Damage, Kind, Orientation, Reason, Role};

/// A picture's facts, and why it was not decoded, if so.
pub(in crate::transcode) struct Still {
    pub(in crate::transcode) facts: Facts,
    pub(in crate::transcode) undecoded: Option<Undecoded>,
    /// Reasons in addition to those of the plan.
    pub(in crate::transcode) reasons: Vec<Reason>,
    animated: bool,
}

/// Why a picture has no thumbnail. The picture is kept all the same, because people may have a program that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Undecoded {
    /// No decoder here supports this kind of picture.
    NoDecoder,
    /// It has more pixels than `limits.pixels`.
    TooLarge,
    /// The decoder finds no picture in the bytes.
    Damaged,
}

impl Undecoded {
    /// The stable word for events, and an explanation.
    pub(in crate::transcode) const fn reason(self) -> (&'static str, &'static str) {
        match self {
            Self::NoDecoder => ("no-decoder", "no decoder supports this kind of picture, so it has no thumbnail"),
            Self::TooLarge => (
                "limit-pixels",
                "it has more pixels than can be decoded with limits.pixels and limits.memory_bytes, so it has no thumbnail",
            ),
            Self::Damaged => ("undecodable", "its bytes are damaged or of another format, so it has no thumbnail"),
        }
    }

    /// Which of these a code stands for when the picture is kept; `None` if the file is rejected.
    pub(in crate::transcode) const fn of(code: Code) -> Option<Self> {
        match code {
            Code::MediaUnreadable | Code::MediaNoStreams => Some(Self::Damaged),
            Code::LimitPixels => Some(Self::TooLarge),
            _ => None,
        }
    }
}

/// Why there is no decoded frame.
enum NoFrame {
    /// The picture is the cause.
    Undecoded(Undecoded),
    /// The job cannot continue.
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

/// Maps an error of libav. For a few files it says that it does not support them, for most that the data is invalid.
fn refused(doing: &'static str) -> impl Fn(ff::Error) -> NoFrame {
    move |error| match (av::machine_fault(error, doing), error) {
        (Some(fault), _) => NoFrame::Fault(fault),
        (None, ff::Error::PatchWelcome | ff::Error::DecoderNotFound | ff::Error::Other { errno: libc::ENOSYS }) => {
            NoFrame::Undecoded(Undecoded::NoDecoder)
        }
        (None, _) => NoFrame::Undecoded(Undecoded::Damaged),
    }
}

/// Reads the facts from the header.
///
/// # Errors
/// Failures of the scratch directory.
pub(in crate::transcode) fn facts(container: Container) -> Result<Still, Fault> {
    let size_bytes = std::fs::metadata(INPUT).map_err(scratch)?.len();
    let exif = Exif::read();
    let row = container.row();
    let header = Header::read(container, exif.orientation)?;
    let (width, height) = header.size;
    let animation = if container == Container::WebP { webp::animation()? } else { None };
    let length = animation.flatten();
    let duration_ms = length.map(|length| length.duration_ms).filter(|ms| *ms > 0);
    let picture = Picture {
        coded_width: width,
        coded_height: height,
        sample_aspect_ratio: (1, 1),
        orientation: header.orientation,
        pixel_format: String::new(),
        frame_rate: frame_rate(length.map(|length| length.frames), duration_ms),
        level: None,
        reorders: false,
        dynamic_range: DynamicRange::Sdr,
        color_space: None,
        interlaced: false,
        cover_art: false,
        frames: length.map(|length| length.frames),
    };
    let stream = StreamFacts {
        index: 0,
        codec: header.codec.unwrap_or_else(|| row.video.first().copied().unwrap_or(row.name)).to_owned(),
        profile: None,
        bit_rate: None,
        start_ms: None,
        duration_ms,
        default: true,
        readable: row.reader != Reader::None,
        samples: None,
        unkeepable: None,
        media: Media::Video(picture),
    };
    let facts = Facts {
        container,
        kind: Kind::Image,
        size_bytes,
        duration_ms,
        streams: vec![stream],
        created_at: exif.created_at,
        tags: Vec::new(),
        truncated: false,
        complete: false,
        faststart: false,
        private_metadata: false,
    };
    let undecoded = (row.reader == Reader::None).then_some(Undecoded::NoDecoder);
    Ok(Still { facts, undecoded, reasons: Vec::new(), animated: animation.is_some() })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn frame_rate(frames: Option<u32>, duration_ms: Option<u64>) -> Option<f64> {
    Some(f64::from(frames?) * 1000.0 / duration_ms? as f64)
}

/// What a picture's header says about how it is shown.
struct Header {
    /// Before rotation. A wrong size is noticed by the decoder, which has the same limit.
    size: (u32, u32),
    orientation: Orientation,
    /// libav's name of the codec, if the container can hold several.
    codec: Option<&'static str>,
}

impl Header {
    fn read(container: Container, by_exif: Orientation) -> Result<Self, Fault> {
        let mut file = File::open(INPUT).map_err(scratch)?;
        if matches!(container.row().reader, Reader::Items(_)) {
            // HEIF items have properties for the orientation. Exif repeats it and must be ignored.
            let described =
                Heif::read(&mut file).and_then(|heif| heif_picture::describe(&heif, &mut file, heif.primary()));
            if let Ok(described) = described {
                let (size, orientation, codec) = (described.shown(), described.orientation, described.codec);
                return Ok(Self { size, orientation, codec });
            }
            return Ok(Self { size: size_by_name(), orientation: Orientation::default(), codec: None });
        }
        if container == Container::JpegXl
            && let Some((size, orientation)) = jxl::header(&mut file).map_err(scratch)?
        {
            return Ok(Self { size, orientation, codec: None });
        }
        let size = match container {
            Container::Bmp => {
                let mut head = Vec::new();
                file.take(64).read_to_end(&mut head).map_err(scratch)?;
                bmp::size(&head).unwrap_or_default()
            }
            _ => size_by_name(),
        };
        Ok(Self { size, orientation: by_exif, codec: None })
    }
}

fn size_by_name() -> (u32, u32) {
    let size = imagesize::size(INPUT).ok();
    size.and_then(|size| Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))).unwrap_or_default()
}

/// Decodes the picture and writes its thumbnail and rendition, or records why there is none.
///
/// # Errors
/// [`Code::MediaCannotFit`], failures of this machine, and limits that end a child.
pub(in crate::transcode) fn make(still: &mut Still, job: &Job<'_>) -> Result<Findings, Fault> {
    let mut findings = Findings::default();
    if still.undecoded.is_some() {
        return Ok(findings);
    }
    match shown(still, job) {
        Ok((raster, wanted)) => {
            findings.damage.truncated = still.facts.truncated;
            findings.produced.push(write_thumbnail(&raster.on_white()?, job)?);
            findings.produced.extend(render(still, &raster, wanted, job)?);
        }
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

fn render(still: &Still, raster: &Raster, wanted: Rendition, job: &Job<'_>) -> Result<Option<Produced>, Fault> {
    let Some(Media::Video(source)) = still.facts.streams.first().map(|stream| &stream.media) else { return Ok(None) };
    match wanted {
        Rendition::Nothing => Ok(None),
        Rendition::Draw => rendition::draw(raster, job).map(Some),
        Rendition::Strip => match rendition::stripped(still.facts.container, source.displayed(), source.orientation)? {
            Some(stripped) => Ok(Some(stripped)),
            // The file violates its format, so it is encoded again, which also leaves out the metadata.
            None => rendition::draw(raster, job).map(Some),
        },
    }
}

/// Whether the file is as long as its header says. Checked for formats that libav supports only in part, because for
/// other variants it only says that the data is invalid.
fn is_whole(container: Container) -> bool {
    matches!(container, Container::Avif | Container::Bmp | Container::Tiff)
        && File::open(INPUT).and_then(|mut file| cut::is_cut(&mut file, container)).is_ok_and(|cut| !cut)
}

/// The picture at the largest size that any output needs, and the kind of rendition.
fn shown(still: &mut Still, job: &Job<'_>) -> Result<(Raster, Rendition), NoFrame> {
    let decoded = decode::decode(still, job.limits)?;
    let Some(Media::Video(source)) = still.facts.streams.first_mut().map(|s| &mut s.media) else {
        return Err(Fault::broken(Code::WorkerBroken, "a picture without a stream was to be decoded").into());
    };
    // The decoder knows better than the header.
    still.facts.truncated = decoded.truncated;
    let size = decoded.shown();
    (source.coded_width, source.coded_height) = size;
    if let Some(orientation) = decoded.orientation {
        source.orientation = orientation;
    }
    source.pixel_format = av::pixel_format_name(&decoded.frame);
    let orientation = source.orientation;
    let (wanted, reason) = crate::plan::rendition(&still.facts, size, still.animated, job.profile);
    still.reasons.extend(reason);
    let thumbnail = job.profile.thumbnail.0;
    // A rendition from which metadata cannot be removed is encoded anew.
    let largest = if wanted == Rendition::Nothing { thumbnail } else { job.profile.picture.max_side.max(thumbnail) };
    Ok((decoded.render(largest, orientation)?, wanted))
}

/// Writes `thumbnail.jpg` from an upright frame.
///
/// # Errors
/// Failures of this machine.
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
