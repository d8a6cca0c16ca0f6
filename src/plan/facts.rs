//! What is known of a file before anything is decided.

use super::Container;
use crate::vocabulary::{Kind, Orientation};

/// A file, as its container describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The container.
    pub container: Container,
    /// What it is for people.
    pub kind: Kind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Length as declared, in ms; what is decoded may differ.
    pub duration_ms: Option<u64>,
    /// In the order of the container.
    pub streams: Vec<StreamFacts>,
    /// When the device says that it was recorded.
    pub created_at: Option<String>,
    /// What an MP3 may be called: its title and date, and nothing else of what the file says of itself.
    pub tags: Vec<(&'static str, String)>,
    /// Whether the file ends before its container says so.
    pub truncated: bool,
    /// Whether it can be played, with its right length, while it loads: an ISO file with moov before mdat and without
    /// fragments, an MP3 with a Xing, Info or VBRI header.
    pub faststart: bool,
    /// Whether it carries text that renditions must not: place, owner, device, comments.
    pub private_metadata: bool,
}

/// One stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFacts {
    /// Position in the container.
    pub index: usize,
    /// libav's name of the codec.
    pub codec: String,
    /// libav's name of the codec profile.
    pub profile: Option<String>,
    /// Average in bit/s.
    pub bit_rate: Option<u64>,
    /// Presentation time of the first frame in ms.
    pub start_ms: Option<i64>,
    /// Length in ms.
    pub duration_ms: Option<u64>,
    /// Whether players pick it by themselves.
    pub default: bool,
    /// Whether the codec is accepted in this container and its parameters are complete.
    pub readable: bool,
    /// What is particular to the kind.
    pub media: Media,
}

/// What is particular to one kind of stream.
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
    /// Width of the coded picture in pixels, before turning.
    pub coded_width: u32,
    /// Height of the coded picture in pixels.
    pub coded_height: u32,
    /// Width of one pixel through its height.
    pub sample_aspect_ratio: (u32, u32),
    /// How it is turned for display.
    pub orientation: Orientation,
    /// libav's name of the pixel format.
    pub pixel_format: String,
    /// Average frames per second.
    pub frame_rate: Option<f64>,
    /// As the codec counts it.
    pub level: Option<i32>,
    /// What white is.
    pub dynamic_range: DynamicRange,
    /// libav's name of the YUV matrix, where the stream says it.
    pub color_space: Option<String>,
    /// Fields rather than frames.
    pub interlaced: bool,
    /// A picture that goes with the sound.
    pub cover_art: bool,
}

/// Transfer characteristics, as far as they change what must be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DynamicRange {
    /// Everything that a screen of the last thirty years shows.
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
    /// Width and height as people see them: square pixels, upright.
    #[must_use]
    pub fn displayed(&self) -> (u32, u32) {
        let (num, den) = if self.is_square() { (1, 1) } else { self.sample_aspect_ratio };
        let (mut width, mut height) = (u64::from(self.coded_width), u64::from(self.coded_height));
        // The longer of the two pixel sides grows, so that nothing is lost.
        if num > den && den > 0 {
            width = (width * u64::from(num) + u64::from(den) / 2) / u64::from(den);
        } else if num < den && num > 0 {
            height = (height * u64::from(den) + u64::from(num) / 2) / u64::from(num);
        }
        let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
        if self.orientation.rotation_degrees % 180 == 90 { (height, width) } else { (width, height) }
    }

    /// Whether pixels are square, within the one per cent that nobody sees: encoders that rounded a size write 639:640.
    #[must_use]
    pub fn is_square(&self) -> bool {
        let (num, den) = self.sample_aspect_ratio;
        num == 0 || den == 0 || u64::from(num.abs_diff(den)) * 100 <= u64::from(den)
    }
}

impl Facts {
    /// The video stream that a player shows: the default one, else the largest.
    #[must_use]
    pub fn main_video(&self) -> Option<(&StreamFacts, &Picture)> {
        self.streams
            .iter()
            .filter_map(|s| match &s.media {
                Media::Video(p) if !p.cover_art && s.readable => Some((s, p)),
                _ => None,
            })
            .max_by_key(|(s, p)| {
                (s.default, u64::from(p.coded_width) * u64::from(p.coded_height), std::cmp::Reverse(s.index))
            })
    }

    /// The audio stream that a player plays: the default one, else the first.
    #[must_use]
    pub fn main_audio(&self) -> Option<(&StreamFacts, &Sound)> {
        self.streams
            .iter()
            .filter_map(|s| match &s.media {
                Media::Audio(sound) if s.readable => Some((s, sound)),
                _ => None,
            })
            .max_by_key(|(s, _)| (s.default, std::cmp::Reverse(s.index)))
    }

    /// Length of one frame of the picture in ms, rounded up; generous where the rate is unknown.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1000")]
    pub fn frame_ms(&self) -> u64 {
        let rate = self.main_video().and_then(|(_, picture)| picture.frame_rate).unwrap_or(10.0);
        (1000.0 / rate.max(1.0)).ceil() as u64
    }

    /// The picture that goes with the sound, if there is one.
    #[must_use]
    pub fn cover_art(&self) -> Option<&StreamFacts> {
        self.streams.iter().find(|s| matches!(&s.media, Media::Video(p) if p.cover_art && s.readable))
    }
}
