//! Names and values from libav's tables, and the colour tags of frames.
#![expect(unsafe_code, reason = "libav's tables and frame fields are plain C")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::ptr::{addr_of, addr_of_mut};
use std::sync::LazyLock;

use ff::ffi;
use ffmpeg_next as ff;

use crate::plan::{ACCEPTED, Reader};
use crate::task::{Component, Libav};

/// A static C string of libav; `None` for null.
pub(super) fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: libav's name functions return null or a static, terminated string.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// Decoders that are preferred to libav's default, if available. libav's own Speex decoder returns twice as many
/// samples for wide band in FFmpeg 7.1 (7.1.5); the second half of each frame is zeros.
const PREFERRED: [(&str, &CStr); 1] = [("speex", c"libspeex")];

/// The decoders of all accepted codecs. libav finds one by comparing with all that it has, and every input that is
/// opened needs the names of all of them.
static DECODERS: LazyLock<BTreeMap<&str, Option<ff::Codec>>> =
    LazyLock::new(|| accepted().1.into_iter().map(|codec| (codec, find_decoder(codec))).collect());

/// The decoder for this codec: `av1` → `libdav1d`.
pub(in crate::transcode) fn decoder_for(codec: &str) -> Option<ff::Codec> {
    DECODERS.get(codec).copied().unwrap_or_else(|| find_decoder(codec))
}

fn find_decoder(codec: &str) -> Option<ff::Codec> {
    let name = CString::new(codec).ok()?;
    // SAFETY: names are terminated; the descriptor and the codecs are static tables, or null.
    unsafe {
        for (_, better) in PREFERRED.iter().filter(|(of, _)| *of == codec) {
            let decoder = ffi::avcodec_find_decoder_by_name(better.as_ptr());
            if !decoder.is_null() {
                return Some(ff::Codec::wrap(decoder));
            }
        }
        let descriptor = ffi::avcodec_descriptor_get_by_name(name.as_ptr());
        if descriptor.is_null() {
            return None;
        }
        let decoder = ffi::avcodec_find_decoder((*descriptor).id);
        (!decoder.is_null()).then(|| ff::Codec::wrap(decoder))
    }
}

/// The versions of the loaded libav libraries.
pub(in crate::transcode) fn libav_versions() -> BTreeMap<String, String> {
    // SAFETY: the version functions have no preconditions.
    let versions = unsafe {
        [
            ("libavcodec", ffi::avcodec_version()),
            ("libavformat", ffi::avformat_version()),
            ("libavfilter", ffi::avfilter_version()),
            ("libavutil", ffi::avutil_version()),
            ("libswscale", ffi::swscale_version()),
            ("libswresample", ffi::swresample_version()),
        ]
    };
    versions
        .into_iter()
        .map(|(name, v)| (name.to_owned(), format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff)))
        .collect()
}

/// The colour tags of a frame as numbers of ITU-T H.273, which libav's enums follow.
///
/// Read as integers on purpose: a file can contain any number, and a Rust enum must not hold an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) struct FrameColor {
    /// 1 is limited, 2 is full, 0 is unspecified.
    pub range: u32,
    /// 1 is BT.709, 9 is BT.2020.
    pub primaries: u32,
    /// 1 is BT.709, 16 is PQ, 18 is HLG.
    pub transfer: u32,
    /// 1 is BT.709, 5 and 6 are BT.601, 9 is BT.2020, 2 is unspecified.
    pub matrix: u32,
}

/// Reads a frame's colour tags.
pub(in crate::transcode) fn frame_color(frame: &ff::Frame) -> FrameColor {
    // SAFETY: the frame is allocated; each field is a C enum of the size of an int, read as such.
    unsafe {
        let frame = frame.as_ptr();
        FrameColor {
            range: addr_of!((*frame).color_range).cast::<u32>().read(),
            primaries: addr_of!((*frame).color_primaries).cast::<u32>().read(),
            transfer: addr_of!((*frame).color_trc).cast::<u32>().read(),
            matrix: addr_of!((*frame).colorspace).cast::<u32>().read(),
        }
    }
}

/// Sets a frame's colour tags.
pub(in crate::transcode) fn set_frame_color(frame: &mut ff::Frame, color: FrameColor) {
    // SAFETY: as above; the numbers written are ones that libav's enums have.
    unsafe {
        let frame = frame.as_mut_ptr();
        addr_of_mut!((*frame).color_range).cast::<u32>().write(color.range);
        addr_of_mut!((*frame).color_primaries).cast::<u32>().write(color.primaries);
        addr_of_mut!((*frame).color_trc).cast::<u32>().write(color.transfer);
        addr_of_mut!((*frame).colorspace).cast::<u32>().write(color.matrix);
    }
}

/// Whether the frame's pixel format has an alpha plane or component.
pub(in crate::transcode) fn has_alpha(frame: &ff::frame::Video) -> bool {
    // SAFETY: the frame is allocated; the descriptor is static or null.
    unsafe {
        let descriptor = pixel_descriptor((*frame.as_ptr()).format);
        !descriptor.is_null() && (*descriptor).flags & ffi::AV_PIX_FMT_FLAG_ALPHA as u64 != 0
    }
}

/// Another reference to the same picture data.
pub(in crate::transcode) fn reference(frame: &ff::frame::Video) -> ff::frame::Video {
    let mut copy = ff::frame::Video::empty();
    // SAFETY: both frames are allocated and the target has no buffers; on failure it stays without.
    let _ = unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), frame.as_ptr()) };
    copy
}

/// Makes the picture data exclusive to this frame, so that writing to it does not change other references.
pub(in crate::transcode) fn make_writable(frame: &mut ff::frame::Video) -> Result<(), ff::Error> {
    // SAFETY: the frame is allocated and ours.
    match unsafe { ffi::av_frame_make_writable(frame.as_mut_ptr()) } {
        0.. => Ok(()),
        error => Err(ff::Error::from(error)),
    }
}

/// Sets the tags of a filtered frame to what the encoder expects, and lets the encoder choose the picture type.
pub(in crate::transcode) fn prepare_for_encoder(frame: &mut ff::frame::Video) {
    set_frame_color(frame, FrameColor { range: 1, primaries: 1, transfer: 1, matrix: 1 });
    // SAFETY: the frame is allocated. The decoder's picture type would force keyframes.
    unsafe { (*frame.as_mut_ptr()).pict_type = ffi::AVPictureType::AV_PICTURE_TYPE_NONE };
}

/// libav's name of a frame's pixel format.
pub(in crate::transcode) fn pixel_format_name(frame: &ff::frame::Video) -> String {
    // SAFETY: the frame is allocated; the descriptor is static or null.
    unsafe {
        let descriptor = pixel_descriptor((*frame.as_ptr()).format);
        if descriptor.is_null() { None } else { text((*descriptor).name) }.unwrap_or_default()
    }
}

/// Stops libav from writing to standard error: its messages can quote the sender's file.
pub(in crate::transcode) fn silence() {
    ff::log::set_level(ff::log::Level::Quiet);
}

/// What every profile needs for writing and converting.
const ENCODERS: &[&str] = &["libx264", "libmp3lame", "aac", "libopus", "mjpeg", "png"];
const FILTERS: &[&str] = &["buffer", "buffersink", "scale", "format", "crop", "zscale", "tonemap", "bwdif", "pad"];

/// Names of the demuxers and codecs that are accepted.
fn accepted() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut demuxers, mut codecs) = (BTreeSet::new(), BTreeSet::new());
    for row in ACCEPTED {
        match row.reader {
            Reader::Demuxer(name) | Reader::Items(name) => drop(demuxers.insert(name)),
            Reader::Still(codec) => drop(codecs.insert(codec)),
            Reader::None => continue,
        }
        codecs.extend(row.video.iter().chain(row.audio));
    }
    (demuxers, codecs)
}

/// The libraries of decoders and encoders that are used and not part of libavcodec, such as `libx264`: file names up to
/// `.so`.
#[must_use]
pub(in crate::transcode) fn libraries() -> Vec<String> {
    let (_, codecs) = accepted();
    let decoders = codecs.iter().filter_map(|codec| decoder_for(codec));
    let encoders = ENCODERS.iter().filter_map(|name| ff::encoder::find_by_name(name));
    // SAFETY: codecs are static tables.
    let behind = decoders.chain(encoders).filter_map(|codec| unsafe { text((*codec.as_ptr()).wrapper_name) });
    behind.collect()
}

/// Which of the accepted and produced formats this build of libav supports.
#[must_use]
pub(in crate::transcode) fn inventory() -> Libav {
    let component =
        |role: &str, name: &str, present: bool| Component { role: role.to_owned(), name: name.to_owned(), present };
    let (demuxers, decoders) = accepted();
    let mut components = Vec::new();
    components
        .extend(ENCODERS.iter().map(|name| component("encoder", name, ff::encoder::find_by_name(name).is_some())));
    components.extend(FILTERS.iter().map(|name| component("filter", name, ff::filter::find(name).is_some())));
    components.extend(demuxers.iter().map(|name| component("demuxer", name, has_demuxer(name))));
    components.extend(decoders.iter().map(|name| component("decoder", name, decoder_for(name).is_some())));
    Libav { versions: libav_versions(), components }
}

fn has_demuxer(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: `name` is terminated; the answer is a static table or null.
    unsafe { !ffi::av_find_input_format(name.as_ptr()).is_null() }
}

/// The descriptor of the pixel format with this number, or null.
pub(super) fn pixel_descriptor(number: i32) -> *const ffi::AVPixFmtDescriptor {
    // SAFETY: iterates over libav's static table; no number is converted to the Rust enum.
    unsafe {
        let mut descriptor = std::ptr::null();
        let mut n = -1;
        loop {
            descriptor = ffi::av_pix_fmt_desc_next(descriptor);
            if descriptor.is_null() {
                return std::ptr::null();
            }
            n += 1;
            // Usually the number is the position. The comparison by id is also correct if the table has gaps.
            if n >= number && ffi::av_pix_fmt_desc_get_id(descriptor) as i32 == number {
                return descriptor;
            }
        }
    }
}
