//! What is accepted: every container, the demuxer that may read it, and the codecs that may stand in it.
//!
//! This table also protects the program: a decoder that is not named here never reads a customer's file, and
//! libav is told which demuxer to use instead of trying all of them.

/// A container, or a picture format, as recognised by its first bytes.
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

/// How a container's bytes become frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// libav's demuxer of this name.
    Demuxer(&'static str),
    /// The whole file is one packet for libav's decoder of this name.
    Still(&'static str),
    /// Nothing here decodes it: facts from its header, the original is kept.
    None,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// Which one.
    pub container: Container,
    /// Name in events.
    pub name: &'static str,
    /// How it is read.
    pub reader: Reader,
    /// Video and picture codecs, by libav's names.
    pub video: &'static [&'static str],
    /// Audio codecs, by libav's names.
    pub audio: &'static [&'static str],
    /// MIME type where it holds moving pictures, or is a picture.
    pub mime_type: &'static str,
    /// MIME type where it holds sound only.
    pub audio_mime_type: &'static str,
    /// Usual extension.
    pub extension: &'static str,
}

const PCM: &[&str] = &[
    "pcm_u8",
    "pcm_s8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
    "pcm_alaw",
    "pcm_mulaw",
    "adpcm_ima_wav",
    "adpcm_ima_qt",
    "adpcm_ms",
    "gsm",
    "gsm_ms",
    "mp3",
];
const ISO_VIDEO: &[&str] = &["h264", "hevc", "av1", "vp9", "mpeg4", "h263", "mjpeg", "mpeg2video", "png"];
const ISO_AUDIO: &[&str] = &[
    "aac",
    "mp3",
    "alac",
    "amr_nb",
    "amr_wb",
    "opus",
    "flac",
    "ac3",
    "eac3",
    "pcm_u8",
    "pcm_s8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_alaw",
    "pcm_mulaw",
    "adpcm_ima_qt",
    "gsm",
];
const MATROSKA_VIDEO: &[&str] = &["vp8", "vp9", "av1", "h264", "hevc", "mpeg4", "theora", "mjpeg"];
const MATROSKA_AUDIO: &[&str] =
    &["opus", "vorbis", "aac", "mp3", "flac", "ac3", "eac3", "pcm_s16le", "pcm_s24le", "pcm_f32le"];
const COVER: &[&str] = &["mjpeg", "png"];

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

use Reader::{Demuxer, None as Nothing, Still};

/// Everything that is accepted. docs/formats.md has the same table; a test compares them.
pub const ACCEPTED: &[Accepted] = &[
    row!(
        Ogg,
        "ogg",
        Demuxer("ogg"),
        &["theora"],
        &["opus", "vorbis", "flac", "speex"],
        "video/ogg",
        "audio/ogg",
        "ogg"
    ),
    row!(Mp4, "mp4", Demuxer("mov"), ISO_VIDEO, ISO_AUDIO, "video/mp4", "audio/mp4", "mp4"),
    row!(Mov, "mov", Demuxer("mov"), ISO_VIDEO, ISO_AUDIO, "video/quicktime", "audio/quicktime", "mov"),
    row!(ThreeGp, "3gp", Demuxer("mov"), ISO_VIDEO, ISO_AUDIO, "video/3gpp", "audio/3gpp", "3gp"),
    row!(M4a, "m4a", Demuxer("mov"), ISO_VIDEO, ISO_AUDIO, "video/mp4", "audio/mp4", "m4a"),
    row!(
        Matroska,
        "matroska",
        Demuxer("matroska"),
        MATROSKA_VIDEO,
        MATROSKA_AUDIO,
        "video/x-matroska",
        "audio/x-matroska",
        "mkv"
    ),
    row!(WebM, "webm", Demuxer("matroska"), MATROSKA_VIDEO, MATROSKA_AUDIO, "video/webm", "audio/webm", "webm"),
    row!(Mp3, "mp3", Demuxer("mp3"), COVER, &["mp3", "mp2"], "audio/mpeg", "audio/mpeg", "mp3"),
    row!(Adts, "adts", Demuxer("aac"), COVER, &["aac"], "audio/aac", "audio/aac", "aac"),
    row!(Amr, "amr", Demuxer("amr"), &[], &["amr_nb", "amr_wb"], "audio/amr", "audio/amr", "amr"),
    row!(Wav, "wav", Demuxer("wav"), &[], PCM, "audio/wav", "audio/wav", "wav"),
    row!(Aiff, "aiff", Demuxer("aiff"), COVER, PCM, "audio/aiff", "audio/aiff", "aiff"),
    row!(Au, "au", Demuxer("au"), &[], PCM, "audio/basic", "audio/basic", "au"),
    row!(
        Caf,
        "caf",
        Demuxer("caf"),
        &[],
        &[
            "opus",
            "aac",
            "alac",
            "amr_nb",
            "pcm_s16le",
            "pcm_s16be",
            "pcm_f32le",
            "pcm_alaw",
            "pcm_mulaw",
            "adpcm_ima_qt"
        ],
        "audio/x-caf",
        "audio/x-caf",
        "caf"
    ),
    row!(Flac, "flac", Demuxer("flac"), COVER, &["flac"], "audio/flac", "audio/flac", "flac"),
    row!(Ac3, "ac3", Demuxer("ac3"), &[], &["ac3"], "audio/ac3", "audio/ac3", "ac3"),
    row!(
        Asf,
        "asf",
        Demuxer("asf"),
        &["wmv1", "wmv2", "wmv3", "vc1", "msmpeg4v2", "msmpeg4v3", "mjpeg", "png"],
        &["wmav1", "wmav2", "wmapro"],
        "video/x-ms-wmv",
        "audio/x-ms-wma",
        "wmv"
    ),
    row!(
        Avi,
        "avi",
        Demuxer("avi"),
        &["mpeg4", "h264", "mjpeg", "msmpeg4v2", "msmpeg4v3", "mpeg1video", "mpeg2video", "h263"],
        &["mp3", "mp2", "aac", "ac3", "pcm_u8", "pcm_s16le", "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms"],
        "video/x-msvideo",
        "audio/x-msvideo",
        "avi"
    ),
    row!(
        Flv,
        "flv",
        Demuxer("flv"),
        &["h264", "flv1"],
        &["aac", "mp3", "speex", "pcm_s16le", "pcm_u8"],
        "video/x-flv",
        "audio/x-flv",
        "flv"
    ),
    row!(
        MpegPs,
        "mpeg",
        Demuxer("mpeg"),
        &["mpeg1video", "mpeg2video", "h264"],
        &["mp2", "mp3", "ac3"],
        "video/mpeg",
        "audio/mpeg",
        "mpg"
    ),
    row!(
        MpegTs,
        "mpegts",
        Demuxer("mpegts"),
        &["h264", "hevc", "mpeg1video", "mpeg2video"],
        &["aac", "mp2", "mp3", "ac3", "eac3", "opus"],
        "video/mp2t",
        "audio/mp2t",
        "ts"
    ),
    row!(Gif, "gif", Demuxer("gif"), &["gif"], &[], "image/gif", "image/gif", "gif"),
    row!(Jpeg, "jpeg", Still("mjpeg"), &["mjpeg"], &[], "image/jpeg", "image/jpeg", "jpg"),
    row!(Png, "png", Still("png"), &["png"], &[], "image/png", "image/png", "png"),
    row!(WebP, "webp", Still("webp"), &["webp"], &[], "image/webp", "image/webp", "webp"),
    row!(Bmp, "bmp", Still("bmp"), &["bmp"], &[], "image/bmp", "image/bmp", "bmp"),
    row!(Tiff, "tiff", Still("tiff"), &["tiff"], &[], "image/tiff", "image/tiff", "tif"),
    row!(Avif, "avif", Demuxer("mov"), &["av1"], &[], "image/avif", "image/avif", "avif"),
    row!(Heic, "heic", Nothing, &[], &[], "image/heic", "image/heic", "heic"),
    row!(JpegXl, "jxl", Nothing, &[], &[], "image/jxl", "image/jxl", "jxl"),
];

impl Container {
    /// The container's row of [`ACCEPTED`].
    #[must_use]
    pub fn row(self) -> &'static Accepted {
        ACCEPTED.iter().find(|row| row.container == self).unwrap_or(&ACCEPTED[0])
    }

    /// Whether it is a picture rather than a recording. An animated GIF is a recording; who reads it finds out.
    #[must_use]
    pub const fn is_picture(self) -> bool {
        matches!(
            self,
            Self::Jpeg | Self::Png | Self::WebP | Self::Bmp | Self::Tiff | Self::Avif | Self::Heic | Self::JpegXl
        )
    }

    /// Whether it is of the ISO base media family (ISO/IEC 14496-12), which an MP4 player opens as it is.
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
