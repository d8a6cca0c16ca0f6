//! The properties that the container gives for a stream, before the stream is decoded.
#![expect(unsafe_code, reason = "stream parameters are reached through libav's C structs only")]

use std::collections::BTreeMap;
use std::ptr::{self, addr_of};

use ff::ffi;
use ffmpeg_next as ff;

use super::names::{pixel_descriptor, text};
use crate::vocabulary::Orientation;

/// A stream as its container describes it.
pub(in crate::transcode) struct StreamView<'a>(pub(super) ff::Stream<'a>);

/// The kind of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum StreamType {
    Video,
    Audio,
    Subtitle,
    Other,
}

/// What the edit lists of a stream do to its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Edits {
    /// Nothing, or they hide samples at the start and the end that no shown one behind them needs.
    Ends,
    /// They hide pictures at the end that stand before shown ones, because those need them.
    NeededEnd,
    /// They hide samples between others, show some twice, or in another order.
    Between,
}

impl StreamView<'_> {
    pub(in crate::transcode) fn index(&self) -> usize {
        self.0.index()
    }

    pub(in crate::transcode) fn time_base(&self) -> ff::Rational {
        self.0.time_base()
    }

    pub(in crate::transcode) fn parameters(&self) -> ff::codec::Parameters {
        self.0.parameters()
    }

    pub(in crate::transcode) fn kind(&self) -> StreamType {
        match self.0.parameters().medium() {
            ff::media::Type::Video => StreamType::Video,
            ff::media::Type::Audio => StreamType::Audio,
            ff::media::Type::Subtitle => StreamType::Subtitle,
            _ => StreamType::Other,
        }
    }

    fn par(&self) -> *const ffi::AVCodecParameters {
        // SAFETY: the stream belongs to an open context; its parameters live as long.
        unsafe { (*self.0.as_ptr()).codecpar }
    }

    /// libav's name of the codec; `none` if it is unknown.
    pub(in crate::transcode) fn codec_name(&self) -> String {
        // SAFETY: the id comes from libav itself.
        text(unsafe { ffi::avcodec_get_name((*self.par()).codec_id) }).unwrap_or_default()
    }

    /// The four characters with which the container identifies the codec.
    pub(in crate::transcode) fn codec_tag(&self) -> [u8; 4] {
        // SAFETY: parameters are valid, see `par`.
        unsafe { (*self.par()).codec_tag }.to_le_bytes()
    }

    pub(in crate::transcode) fn profile_name(&self) -> Option<String> {
        // SAFETY: parameters are valid; an unknown profile gives null.
        let name = text(unsafe { ffi::avcodec_profile_name((*self.par()).codec_id, (*self.par()).profile) });
        if self.has_sbr() && name.as_deref() == Some("LC") { Some("HE-AAC".to_owned()) } else { name }
    }

    /// Whether AAC has spectral band replication, which makes a frame 2048 samples long instead of 1024. FFmpeg 7.1
    /// gives such a stream the profile of its core if the container does not declare the extension, as in ADTS.
    fn has_sbr(&self) -> bool {
        // SAFETY: parameters are valid.
        unsafe { (*self.par()).codec_id == ffi::AVCodecID::AV_CODEC_ID_AAC && (*self.par()).frame_size == 2048 }
    }

    pub(in crate::transcode) fn level(&self) -> Option<i32> {
        // SAFETY: parameters are valid.
        Some(unsafe { (*self.par()).level }).filter(|level| *level > 0)
    }

    pub(in crate::transcode) fn bit_rate(&self) -> Option<u64> {
        // SAFETY: parameters are valid.
        u64::try_from(unsafe { (*self.par()).bit_rate }).ok().filter(|rate| *rate > 0)
    }

    /// Width and height of the coded picture; 0 if negative.
    pub(in crate::transcode) fn size(&self) -> (u32, u32) {
        // SAFETY: parameters are valid.
        let (width, height) = unsafe { ((*self.par()).width, (*self.par()).height) };
        (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
    }

    pub(in crate::transcode) fn sample_aspect_ratio(&self) -> (u32, u32) {
        // SAFETY: stream and parameters are valid.
        let (of_stream, of_codec) =
            unsafe { ((*self.0.as_ptr()).sample_aspect_ratio, (*self.par()).sample_aspect_ratio) };
        let ratio = if of_stream.num > 0 { of_stream } else { of_codec };
        match (u32::try_from(ratio.num), u32::try_from(ratio.den)) {
            (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
            _ => (1, 1),
        }
    }

    pub(in crate::transcode) fn pixel_format(&self) -> Option<String> {
        // SAFETY: the number is compared with the range of known formats before it is used as one.
        unsafe {
            let number = (*self.par()).format;
            let descriptor = if number < 0 { ptr::null() } else { pixel_descriptor(number) };
            if descriptor.is_null() { None } else { text((*descriptor).name) }
        }
    }

    /// Transfer characteristics and matrix as numbers of ITU-T H.273.
    pub(in crate::transcode) fn transfer_and_matrix(&self) -> (u32, u32) {
        // SAFETY: parameters are valid; the enums are read as the integers they are in C.
        unsafe {
            let par = self.par();
            (addr_of!((*par).color_trc).cast::<u32>().read(), addr_of!((*par).color_space).cast::<u32>().read())
        }
    }

    /// Whether the declared field order is interlaced.
    pub(in crate::transcode) fn is_interlaced(&self) -> bool {
        // SAFETY: parameters are valid; the enum is read as an integer. 0 is unknown, 1 progressive.
        unsafe { addr_of!((*self.par()).field_order).cast::<u32>().read() > 1 }
    }

    pub(in crate::transcode) fn sample_rate(&self) -> u32 {
        // SAFETY: parameters are valid.
        u32::try_from(unsafe { (*self.par()).sample_rate }).unwrap_or(0)
    }

    pub(in crate::transcode) fn channels(&self) -> u32 {
        // SAFETY: parameters are valid.
        u32::try_from(unsafe { (*self.par()).ch_layout.nb_channels }).unwrap_or(0)
    }

    /// Average and nominal frame rate.
    pub(in crate::transcode) fn frame_rates(&self) -> (Option<f64>, Option<f64>) {
        let rate = |r: ff::Rational| {
            (r.numerator() > 0 && r.denominator() > 0).then(|| f64::from(r.numerator()) / f64::from(r.denominator()))
        };
        (rate(self.0.avg_frame_rate()), rate(self.0.rate()))
    }

    pub(in crate::transcode) fn start(&self) -> Option<i64> {
        Some(self.0.start_time()).filter(|start| *start != ffi::AV_NOPTS_VALUE)
    }

    pub(in crate::transcode) fn duration(&self) -> Option<i64> {
        Some(self.0.duration()).filter(|duration| *duration != ffi::AV_NOPTS_VALUE && *duration > 0)
    }

    /// Whether pictures are shown in another order than they are decoded in.
    pub(in crate::transcode) fn reorders(&self) -> bool {
        // SAFETY: parameters are valid.
        unsafe { (*self.par()).video_delay > 0 }
    }

    pub(in crate::transcode) fn is_default(&self) -> bool {
        self.0.disposition().contains(ff::format::stream::Disposition::DEFAULT)
    }

    pub(in crate::transcode) fn is_attached_picture(&self) -> bool {
        self.0.disposition().contains(ff::format::stream::Disposition::ATTACHED_PIC)
    }

    pub(in crate::transcode) fn metadata(&self) -> BTreeMap<String, String> {
        collect(&self.0.metadata())
    }

    /// The display matrix from the container.
    pub(in crate::transcode) fn display_matrix(&self) -> Option<[i32; 9]> {
        // SAFETY: the data belongs to the stream and is as long as `size` says.
        unsafe {
            let mut size = 0;
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
            let data = ffi::av_stream_get_side_data(self.0.as_ptr(), kind, &raw mut size);
            (!data.is_null() && size >= 36).then(|| data.cast::<[i32; 9]>().read_unaligned())
        }
    }

    /// The rotation and mirroring that the picture needs.
    pub(in crate::transcode) fn orientation(&self) -> Orientation {
        self.display_matrix().map(|m| orientation_of(&m)).unwrap_or_default()
    }

    /// How many samples the demuxer's index has.
    pub(in crate::transcode) fn index_entries(&self) -> u64 {
        // SAFETY: the stream belongs to an open context.
        u64::try_from(unsafe { ffi::avformat_index_get_entries_count(self.0.as_ptr()) }).unwrap_or(0)
    }

    /// What edit lists do by the index. Pictures at the very end may be out of order, because hidden ones that the last
    /// shown ones need stand between them.
    pub(in crate::transcode) fn edits(&self) -> Edits {
        const HIDDEN: u32 = ffi::AVINDEX_DISCARD_FRAME as u32;
        let (most_hidden, most_behind) = if self.kind() == StreamType::Video { (4, 16) } else { (0, 0) };
        let (mut shown, mut run, mut hidden, mut behind, mut end) = (false, 0, false, 0, i64::MIN);
        // SAFETY: the stream belongs to an open context; the entries are read before anything is demuxed.
        unsafe {
            let stream = self.0.as_ptr().cast_mut();
            for n in 0..ffi::avformat_index_get_entries_count(stream) {
                let entry = ffi::avformat_index_get_entry(stream, n);
                if entry.is_null() {
                    break;
                }
                let again = (*entry).pos < end;
                end = (*entry).pos;
                if (*entry).flags().cast_unsigned() & HIDDEN != 0 {
                    run += 1;
                    hidden |= shown;
                    continue;
                }
                behind += i32::from(hidden);
                if again || hidden && (run > most_hidden || behind > most_behind) {
                    return Edits::Between;
                }
                (shown, run) = (true, 0);
            }
        }
        if behind > 0 { Edits::NeededEnd } else { Edits::Ends }
    }

    /// Whether the container has a key that marks the samples as encrypted.
    pub(in crate::transcode) fn is_encrypted(&self) -> bool {
        // SAFETY: as for the display matrix.
        let has_init_info = unsafe {
            let mut size = 0;
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_ENCRYPTION_INIT_INFO;
            !ffi::av_stream_get_side_data(self.0.as_ptr(), kind, &raw mut size).is_null()
        };
        has_init_info || matches!(&self.codec_tag(), b"encv" | b"enca")
    }
}

/// A dictionary's entries, keys in lower case.
pub(super) fn collect(dictionary: &ff::DictionaryRef<'_>) -> BTreeMap<String, String> {
    // SAFETY: the dictionary belongs to an open context; the iteration ends with a null entry.
    unsafe {
        let mut entries = BTreeMap::new();
        let mut entry: *mut ffi::AVDictionaryEntry = ptr::null_mut();
        loop {
            entry = ffi::av_dict_get(dictionary.as_ptr(), c"".as_ptr(), entry, ffi::AV_DICT_IGNORE_SUFFIX);
            if entry.is_null() {
                return entries;
            }
            // Not with ffmpeg-next's iterator, which assumes that the bytes are UTF-8 without checking.
            let (Some(key), Some(value)) = (text((*entry).key), text((*entry).value)) else { continue };
            entries.insert(key.to_ascii_lowercase(), value);
        }
    }
}

/// The rotation and mirroring of a display matrix (ISO/IEC 14496-12, 6.2.2), rounded to the nearest right angle.
fn orientation_of(m: &[i32; 9]) -> Orientation {
    let (a, b, c, d) = (i64::from(m[0]), i64::from(m[1]), i64::from(m[3]), i64::from(m[4]));
    let mirrored = a * d - b * c < 0;
    // Removes the mirroring first (x -> -x), so that a pure rotation is left.
    let (a, b) = if mirrored { (-a, -b) } else { (a, b) };
    let rotation_degrees = if a.abs() + d.abs() >= b.abs() + c.abs() {
        if a + d >= 0 { 0 } else { 180 }
    } else if b - c > 0 {
        90
    } else {
        270
    };
    Orientation { rotation_degrees, mirrored }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    #[test]
    fn display_matrices_of_phones() {
        let of = |a, b, c, d| orientation_of(&[a, b, 0, c, d, 0, 0, 0, 1 << 30]);
        let turned = |rotation_degrees, mirrored| Orientation { rotation_degrees, mirrored };
        assert_eq!(of(ONE, 0, 0, ONE), turned(0, false));
        assert_eq!(of(0, ONE, -ONE, 0), turned(90, false));
        assert_eq!(of(-ONE, 0, 0, -ONE), turned(180, false));
        assert_eq!(of(0, -ONE, ONE, 0), turned(270, false));
        assert_eq!(of(-ONE, 0, 0, ONE), turned(0, true));
        assert_eq!(of(ONE, 0, 0, -ONE), turned(180, true));
        assert_eq!(of(0, ONE, ONE, 0), turned(270, true));
        assert_eq!(of(0, -ONE, -ONE, 0), turned(90, true));
    }
}
