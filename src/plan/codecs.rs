//! The codecs that are accepted in a recording, whatever its container, and what is known about the safety of their
//! decoders.
//!
//! A codec that is not in this table is not decoded. OSS-Fuzz builds a fuzzer for each decoder that libavcodec
//! implements itself (`projects/ffmpeg/build.sh` in google/oss-fuzz), named after the codec:
//! `ffmpeg_AV_CODEC_ID_PRORES_fuzzer`.

/// What is known about a decoder's safety. All decoders run only in the jailed child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// libavcodec's own decoder, with a fuzzer in OSS-Fuzz. It keeps references and tables between packets.
    Fuzzed,
    /// As [`Self::Fuzzed`], and each sample or block results from a table or a sum, so little can go wrong.
    Simple,
    /// dav1d, a library that is a project of its own in OSS-Fuzz.
    Dav1d,
    /// libspeex, a library that is a project of its own in OSS-Fuzz; libavcodec's own decoder if it is missing.
    Libspeex,
}

impl Known {
    /// A description for the documents.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Fuzzed => "libavcodec, fuzzed by OSS-Fuzz",
            Self::Simple => "libavcodec, fuzzed by OSS-Fuzz, a table or a sum for each sample",
            Self::Dav1d => "dav1d, fuzzed by OSS-Fuzz",
            Self::Libspeex => "libspeex, fuzzed by OSS-Fuzz",
        }
    }
}

/// One codec.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// libav's name.
    pub name: &'static str,
    /// Whether it is a picture codec; otherwise it is a sound codec.
    pub is_picture: bool,
    /// What is known about its decoder.
    pub known: Known,
}

const fn picture(name: &'static str, known: Known) -> Codec {
    Codec { name, is_picture: true, known }
}

const fn sound(name: &'static str, known: Known) -> Codec {
    Codec { name, is_picture: false, known }
}

use Known::{Dav1d, Fuzzed, Libspeex, Simple};

/// All codecs of recordings. The documents have the same table; a test compares them.
pub const CODECS: &[Codec] = &[
    picture("av1", Dav1d),
    picture("dvvideo", Fuzzed),
    picture("ffv1", Fuzzed),
    picture("flv1", Fuzzed),
    picture("h263", Fuzzed),
    picture("h264", Fuzzed),
    picture("hevc", Fuzzed),
    picture("mjpeg", Fuzzed),
    picture("mpeg1video", Fuzzed),
    picture("mpeg2video", Fuzzed),
    picture("mpeg4", Fuzzed),
    picture("msmpeg4v2", Fuzzed),
    picture("msmpeg4v3", Fuzzed),
    picture("png", Fuzzed),
    picture("prores", Fuzzed),
    picture("theora", Fuzzed),
    picture("vc1", Fuzzed),
    picture("vp8", Fuzzed),
    picture("vp9", Fuzzed),
    picture("wmv1", Fuzzed),
    picture("wmv2", Fuzzed),
    picture("wmv3", Fuzzed),
    sound("aac", Fuzzed),
    sound("aac_latm", Fuzzed),
    sound("ac3", Fuzzed),
    sound("adpcm_g722", Simple),
    sound("adpcm_g726", Simple),
    sound("adpcm_g726le", Simple),
    sound("adpcm_ima_qt", Simple),
    sound("adpcm_ima_wav", Simple),
    sound("adpcm_ms", Simple),
    sound("adpcm_swf", Simple),
    sound("adpcm_yamaha", Simple),
    sound("alac", Fuzzed),
    sound("amr_nb", Fuzzed),
    sound("amr_wb", Fuzzed),
    sound("dts", Fuzzed),
    sound("eac3", Fuzzed),
    sound("flac", Fuzzed),
    sound("g723_1", Fuzzed),
    sound("gsm", Fuzzed),
    sound("gsm_ms", Fuzzed),
    sound("mlp", Fuzzed),
    sound("mp2", Fuzzed),
    sound("mp3", Fuzzed),
    sound("nellymoser", Fuzzed),
    sound("opus", Fuzzed),
    sound("pcm_alaw", Simple),
    sound("pcm_bluray", Simple),
    sound("pcm_dvd", Simple),
    sound("pcm_f32be", Simple),
    sound("pcm_f32le", Simple),
    sound("pcm_f64be", Simple),
    sound("pcm_f64le", Simple),
    sound("pcm_mulaw", Simple),
    sound("pcm_s16be", Simple),
    sound("pcm_s16le", Simple),
    sound("pcm_s24be", Simple),
    sound("pcm_s24le", Simple),
    sound("pcm_s32be", Simple),
    sound("pcm_s32le", Simple),
    sound("pcm_s8", Simple),
    sound("pcm_u8", Simple),
    sound("speex", Libspeex),
    sound("truehd", Fuzzed),
    sound("vorbis", Fuzzed),
    sound("wmapro", Fuzzed),
    sound("wmav1", Fuzzed),
    sound("wmav2", Fuzzed),
];

const fn count(pictures: bool) -> usize {
    let (mut n, mut found) = (0, 0);
    while n < CODECS.len() {
        if CODECS[n].is_picture == pictures {
            found += 1;
        }
        n += 1;
    }
    found
}

const fn names<const N: usize>(pictures: bool) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut n, mut found) = (0, 0);
    while n < CODECS.len() {
        if CODECS[n].is_picture == pictures {
            names[found] = CODECS[n].name;
            found += 1;
        }
        n += 1;
    }
    names
}

/// The names of the picture codecs in [`CODECS`].
pub const VIDEO_CODECS: &[&str] = &names::<{ count(true) }>(true);
/// The names of the sound codecs in [`CODECS`].
pub const AUDIO_CODECS: &[&str] = &names::<{ count(false) }>(false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_stands_once_and_in_one_of_both_lists() {
        for (n, codec) in CODECS.iter().enumerate() {
            assert!(CODECS[n + 1..].iter().all(|other| other.name != codec.name), "{} twice", codec.name);
            assert_eq!(VIDEO_CODECS.contains(&codec.name), codec.is_picture);
            assert_eq!(AUDIO_CODECS.contains(&codec.name), !codec.is_picture);
        }
        assert_eq!(VIDEO_CODECS.len() + AUDIO_CODECS.len(), CODECS.len());
    }
}
