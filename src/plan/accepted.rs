//! The table of accepted containers, and the demuxer that reads each. The codecs that a container may hold are in
//! [`super::CODECS`].
//!
//! This table also protects the program: a decoder that is not named here never reads a customer's file, and libav is
//! told which demuxer to use instead of trying all of them.

/// A container or a picture format, recognised by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below says what each one is")]
pub enum Container {
    Ogg,
    Mp4,
    Mov,
    ThreeGp,
    M4a,
    Matroska,
    WebM,
    Mp3,
    Adts,
    Amr,
    Wav,
    W64,
    Aiff,
    Au,
    Caf,
    Flac,
    Ac3,
    Asf,
    Avi,
    Flv,
    MpegPs,
    MpegTs,
    Gif,
    Jpeg,
    Png,
    WebP,
    Bmp,
    Tiff,
    Avif,
    Heic,
    JpegXl,
}

/// How a file of this container is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// With libav's demuxer of this name.
    Demuxer(&'static str),
    /// As a single packet, with libav's decoder of this name.
    Still(&'static str),
    /// By the boxes of a HEIF file, which name its coded pieces; each piece is a packet for libav's decoder of the
    /// row's codecs. If the file has no such pieces but a track, with libav's demuxer of this name.
    Items(&'static str),
    /// Not at all: the facts come from its header, and the original is kept.
    None,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// The container of this row.
    pub container: Container,
    /// Its name in events.
    pub name: &'static str,
    /// How it is decoded.
    pub reader: Reader,
    /// The accepted picture codecs by their libav names; for a picture format, its codec.
    pub video: &'static [&'static str],
    /// The accepted sound codecs by their libav names; empty if none.
    pub audio: &'static [&'static str],
    /// MIME type of a file with moving pictures, or of a picture.
    pub mime_type: &'static str,
    /// MIME type of a file with sound only.
    pub audio_mime_type: &'static str,
    /// Usual file extension.
    pub extension: &'static str,
}

macro_rules! row {
    ($c:ident, $name:literal, $reader:expr, $video:expr, $audio:expr, $mime:literal, $amime:literal, $ext:literal) => {
        Accepted {
            container: Container::$c,
            name: $name,
            reader: $reader,
            video: $video,
            audio: $audio,
            mime_type: $mime,
            audio_mime_type: $amime,
            extension: $ext,
        }
    };
}

use super::codecs::{AUDIO_CODECS as SOUND, VIDEO_CODECS as PICTURE};
use Reader::{Demuxer, Items, None as Nothing, Still};

/// All accepted containers. docs/formats.md has the same table; a test compares them.
pub const ACCEPTED: &[Accepted] = &[
    row!(Ogg, "ogg", Demuxer("ogg"), PICTURE, SOUND, "video/ogg", "audio/ogg", "ogg"),
    row!(Mp4, "mp4", Demuxer("mov"), PICTURE, SOUND, "video/mp4", "audio/mp4", "mp4"),
    row!(Mov, "mov", Demuxer("mov"), PICTURE, SOUND, "video/quicktime", "audio/quicktime", "mov"),
    row!(ThreeGp, "3gp", Demuxer("mov"), PICTURE, SOUND, "video/3gpp", "audio/3gpp", "3gp"),
    row!(M4a, "m4a", Demuxer("mov"), PICTURE, SOUND, "video/mp4", "audio/mp4", "m4a"),
    row!(Matroska, "matroska", Demuxer("matroska"), PICTURE, SOUND, "video/x-matroska", "audio/x-matroska", "mkv"),
    row!(WebM, "webm", Demuxer("matroska"), PICTURE, SOUND, "video/webm", "audio/webm", "webm"),
    row!(Mp3, "mp3", Demuxer("mp3"), PICTURE, SOUND, "audio/mpeg", "audio/mpeg", "mp3"),
    row!(Adts, "adts", Demuxer("aac"), PICTURE, SOUND, "audio/aac", "audio/aac", "aac"),
    row!(Amr, "amr", Demuxer("amr"), PICTURE, SOUND, "audio/amr", "audio/amr", "amr"),
    row!(Wav, "wav", Demuxer("wav"), PICTURE, SOUND, "audio/wav", "audio/wav", "wav"),
    row!(W64, "w64", Demuxer("w64"), PICTURE, SOUND, "audio/x-w64", "audio/x-w64", "w64"),
    row!(Aiff, "aiff", Demuxer("aiff"), PICTURE, SOUND, "audio/aiff", "audio/aiff", "aiff"),
    row!(Au, "au", Demuxer("au"), PICTURE, SOUND, "audio/basic", "audio/basic", "au"),
    row!(Caf, "caf", Demuxer("caf"), PICTURE, SOUND, "audio/x-caf", "audio/x-caf", "caf"),
    row!(Flac, "flac", Demuxer("flac"), PICTURE, SOUND, "audio/flac", "audio/flac", "flac"),
    row!(Ac3, "ac3", Demuxer("ac3"), PICTURE, SOUND, "audio/ac3", "audio/ac3", "ac3"),
    row!(Asf, "asf", Demuxer("asf"), PICTURE, SOUND, "video/x-ms-wmv", "audio/x-ms-wma", "wmv"),
    row!(Avi, "avi", Demuxer("avi"), PICTURE, SOUND, "video/x-msvideo", "audio/x-msvideo", "avi"),
    row!(Flv, "flv", Demuxer("flv"), PICTURE, SOUND, "video/x-flv", "audio/x-flv", "flv"),
    row!(MpegPs, "mpeg", Demuxer("mpeg"), PICTURE, SOUND, "video/mpeg", "audio/mpeg", "mpg"),
    row!(MpegTs, "mpegts", Demuxer("mpegts"), PICTURE, SOUND, "video/mp2t", "audio/mp2t", "ts"),
    row!(Gif, "gif", Demuxer("gif"), &["gif"], &[], "image/gif", "image/gif", "gif"),
    row!(Jpeg, "jpeg", Still("mjpeg"), &["mjpeg"], &[], "image/jpeg", "image/jpeg", "jpg"),
    row!(Png, "png", Still("png"), &["png"], &[], "image/png", "image/png", "png"),
    row!(WebP, "webp", Still("webp"), &["webp"], &[], "image/webp", "image/webp", "webp"),
    row!(Bmp, "bmp", Still("bmp"), &["bmp"], &[], "image/bmp", "image/bmp", "bmp"),
    row!(Tiff, "tiff", Still("tiff"), &["tiff"], &[], "image/tiff", "image/tiff", "tif"),
    row!(Avif, "avif", Items("mov"), &["av1"], &[], "image/avif", "image/avif", "avif"),
    row!(Heic, "heic", Items("mov"), &["hevc", "av1", "h264", "mjpeg"], &[], "image/heic", "image/heic", "heic"),
    row!(JpegXl, "jxl", Nothing, &[], &[], "image/jxl", "image/jxl", "jxl"),
];

impl Container {
    /// The container's row in [`ACCEPTED`].
    #[must_use]
    pub fn row(self) -> &'static Accepted {
        ACCEPTED.iter().find(|row| row.container == self).unwrap_or(&ACCEPTED[0])
    }

    /// Whether it is a picture rather than a recording. GIF is not among them: reading it shows whether it is animated.
    #[must_use]
    pub const fn is_picture(self) -> bool {
        matches!(
            self,
            Self::Jpeg | Self::Png | Self::WebP | Self::Bmp | Self::Tiff | Self::Avif | Self::Heic | Self::JpegXl
        )
    }

    /// Whether it belongs to the ISO base media family (ISO/IEC 14496-12), which MP4 players can open.
    #[must_use]
    pub const fn is_iso(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::ThreeGp | Self::M4a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_has_one_row_and_names_are_unique() {
        for (n, row) in ACCEPTED.iter().enumerate() {
            assert_eq!(row.container.row().name, row.name);
            assert!(ACCEPTED[n + 1..].iter().all(|other| other.name != row.name), "{} twice", row.name);
        }
    }
}
