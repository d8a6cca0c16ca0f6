//! What is known about a file before anything is decided.

use super::{Container, VIDEO_CODECS};
use crate::vocabulary::{Kind, Orientation};

/// A file, as its container describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The container.
    pub container: Container,
    /// What kind of media it is for people.
    pub kind: Kind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Declared length in ms; the decoded length may differ.
    pub duration_ms: Option<u64>,
    /// The streams, in the order of the container.
    pub streams: Vec<StreamFacts>,
    /// The time of recording that the device wrote into the file.
    pub created_at: Option<String>,
    /// The tags that an MP3 output may have: title and date, and nothing else of the file's metadata.
    pub tags: Vec<(&'static str, String)>,
    /// Whether the file ends before the end that its container declares.
    pub truncated: bool,
    /// Whether the container declares its end and the file ends there. Then players show the declared lengths.
    pub complete: bool,
    /// Whether it can be played with the right length while it loads: an ISO file with moov before mdat and without
    /// fragments, or an MP3 with a Xing, Info or VBRI header.
    pub faststart: bool,
    /// Whether it has text that renditions must not have: place, owner, device, comments.
    pub private_metadata: bool,
}

/// One stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFacts {
    /// Index in the container.
    pub index: usize,
    /// libav's name of the codec.
    pub codec: String,
    /// libav's name of the codec profile.
    pub profile: Option<String>,
    /// Average bit rate in bit/s.
    pub bit_rate: Option<u64>,
    /// Presentation time of the first frame in ms.
    pub start_ms: Option<i64>,
    /// Length in ms.
    pub duration_ms: Option<u64>,
    /// Whether players choose this stream by default.
    pub default: bool,
    /// Whether the codec is accepted and its parameters are complete.
    pub readable: bool,
    /// How many samples the container's index has, if the index covers the whole file.
    pub samples: Option<u64>,
    /// Why its packets cannot be copied, whatever its codec.
    pub unkeepable: Option<Unkeepable>,
    /// The facts for this kind of stream.
    pub media: Media,
}

/// Why a copy of a stream's packets would differ from what players show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkeepable {
    /// An edit list (ISO/IEC 14496-12, 8.6.6) hides samples between others, repeats some, changes their order,
    /// or shows nothing between others.
    EditList,
    /// An edit list hides pictures at the end that shown ones need. The file itself plays right, but libav's muxer would
    /// count them into the length of an output that is written anew, and so show one of them.
    HiddenEnd,
}

/// The facts for one kind of stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Media {
    /// Pictures.
    Video(Picture),
    /// Sound.
    Audio(Sound),
    /// Timed text.
    Subtitle,
    /// Anything else.
    Data,
}

/// A video stream or still picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width of the coded picture in pixels, before rotation.
    pub coded_width: u32,
    /// Height of the coded picture in pixels.
    pub coded_height: u32,
    /// Shape of a pixel: width and height.
    pub sample_aspect_ratio: (u32, u32),
    /// How it is rotated and mirrored for display.
    pub orientation: Orientation,
    /// libav's name of the pixel format.
    pub pixel_format: String,
    /// Average frames per second.
    pub frame_rate: Option<f64>,
    /// Level in the codec's own numbers.
    pub level: Option<i32>,
    /// Whether its pictures are shown in another order than they are decoded in (B-frames), as far as is known.
    pub reorders: bool,
    /// The dynamic range.
    pub dynamic_range: DynamicRange,
    /// libav's name of the YUV matrix, where the stream says it.
    pub color_space: Option<String>,
    /// Whether it has fields instead of frames.
    pub interlaced: bool,
    /// Whether it is a cover picture of the sound.
    pub cover_art: bool,
    /// How many pictures an animation has.
    pub frames: Option<u32>,
}

/// Transfer characteristics, as far as they require different processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DynamicRange {
    /// Standard dynamic range, which every screen shows.
    Sdr,
    /// ITU-R BT.2100 hybrid log-gamma.
    Hlg,
    /// ITU-R BT.2100 perceptual quantizer (SMPTE ST 2084).
    Pq,
}

impl DynamicRange {
    /// The word in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sdr => "sdr",
            Self::Hlg => "hlg",
            Self::Pq => "pq",
        }
    }
}

/// An audio stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Samples per second after decoding.
    pub sample_rate_hz: u32,
    /// Number of channels.
    pub channels: u32,
}

impl Picture {
    /// Width and height as displayed: square pixels, upright.
    #[must_use]
    pub fn displayed(&self) -> (u32, u32) {
        let (num, den) = if self.is_square() { (1, 1) } else { self.sample_aspect_ratio };
        let (mut width, mut height) = (u64::from(self.coded_width), u64::from(self.coded_height));
        // The shorter side of a pixel is extended to the longer one, so that no detail is lost.
        if num > den && den > 0 {
            width = (width * u64::from(num) + u64::from(den) / 2) / u64::from(den);
        } else if num < den && num > 0 {
            height = (height * u64::from(den) + u64::from(num) / 2) / u64::from(num);
        }
        let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
        if self.orientation.rotation_degrees % 180 == 90 { (height, width) } else { (width, height) }
    }

    /// Whether pixels are square within one per cent, which is invisible: encoders that rounded a size write 639:640.
    #[must_use]
    pub fn is_square(&self) -> bool {
        let (num, den) = self.sample_aspect_ratio;
        num == 0 || den == 0 || u64::from(num.abs_diff(den)) * 100 <= u64::from(den)
    }
}

impl StreamFacts {
    /// Whether it may have samples: no index says that it is empty.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        self.samples != Some(0)
    }
}

impl Facts {
    /// The video stream that a player shows. Streams with samples come first, then default ones, then those with more
    /// than one frame, then those that last at least half as long as the longest one, then the largest; otherwise the
    /// first one.
    #[must_use]
    pub fn main_video(&self) -> Option<(&StreamFacts, &Picture)> {
        let readable = || {
            self.streams.iter().filter_map(|s| match &s.media {
                Media::Video(p) if !p.cover_art && s.readable => Some((s, p)),
                _ => None,
            })
        };
        let longest = readable().filter_map(|(s, _)| s.duration_ms).max().unwrap_or(0);
        readable().max_by_key(|(s, p)| {
            // A single frame next to a video is a still picture that a phone stored with it.
            let moves = s.samples.is_none_or(|samples| samples > 1);
            let lasts = s.duration_ms.is_none_or(|ms| ms >= longest / 2);
            let pixels = u64::from(p.coded_width) * u64::from(p.coded_height);
            (s.has_samples(), s.default, moves, lasts, pixels, std::cmp::Reverse(s.index))
        })
    }

    /// The audio stream that a player plays: the default one of those with samples, otherwise the first one.
    #[must_use]
    pub fn main_audio(&self) -> Option<(&StreamFacts, &Sound)> {
        self.streams
            .iter()
            .filter_map(|s| match &s.media {
                Media::Audio(sound) if s.readable => Some((s, sound)),
                _ => None,
            })
            .max_by_key(|(s, _)| (s.has_samples(), s.default, std::cmp::Reverse(s.index)))
    }

    /// A video stream that no decoder supports. A stream that is declared and accepted but has no samples does not
    /// count: radio stations declare such streams.
    #[must_use]
    pub fn unread_picture(&self) -> Option<&StreamFacts> {
        self.streams.iter().find(|s| {
            let is_picture = matches!(&s.media, Media::Video(p) if !p.cover_art) && !s.readable;
            is_picture && s.has_samples() && (s.start_ms.is_some() || !VIDEO_CODECS.contains(&s.codec.as_str()))
        })
    }

    /// Duration of one frame of the picture in ms, rounded up; a long one if the rate is unknown.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1000")]
    pub fn frame_ms(&self) -> u64 {
        let rate = self.main_video().and_then(|(_, picture)| picture.frame_rate).unwrap_or(10.0);
        (1000.0 / rate.max(1.0)).ceil() as u64
    }

    /// When the picture ends by its container, in ms on the file's clock, if that is plausible. Packets do not reliably
    /// say how long the last frame is shown.
    #[must_use]
    pub fn picture_end_ms(&self, index: usize) -> Option<i64> {
        let stream = self.streams.get(index).filter(|_| self.complete)?;
        match stream.duration_ms {
            Some(ms) => Some(stream.start_ms.unwrap_or(0).saturating_add(i64::try_from(ms).ok()?)),
            // A Matroska segment has a single length for all its tracks.
            None if self.streams.len() == 1 => i64::try_from(self.duration_ms?).ok(),
            None => None,
        }
    }

    /// A difference in µs below this from [`Self::picture_end_ms`] is due to rounding or a single frame.
    #[must_use]
    pub fn last_frame_tolerance_us(&self) -> i64 {
        i64::try_from(self.frame_ms()).unwrap_or(0).saturating_add(50).saturating_mul(1000)
    }

    /// The cover picture of the sound, if there is one.
    #[must_use]
    pub fn cover_art(&self) -> Option<&StreamFacts> {
        self.streams.iter().find(|s| matches!(&s.media, Media::Video(p) if p.cover_art && s.readable))
    }
}
