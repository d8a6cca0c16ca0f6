//! Properties of packets and frames besides their data and times.
#![expect(unsafe_code, reason = "flags and side data of a packet are fields of libav's struct")]

use ff::ffi;
use ff::packet::{Mut as _, Ref as _};
use ffmpeg_next as ff;

/// Whether an edit list hides the packet's picture: it must be decoded but not shown.
pub(in crate::transcode) fn is_hidden(packet: &ff::Packet) -> bool {
    // SAFETY: the packet is allocated.
    let flags = unsafe { (*packet.as_ptr()).flags };
    flags.cast_unsigned() & ffi::AV_PKT_FLAG_DISCARD as u32 != 0
}

/// Hides the packet's picture or sound: it is decoded but not shown.
pub(super) fn hide(packet: &mut ff::Packet) {
    // SAFETY: the packet is allocated and ours.
    unsafe { (*packet.as_mut_ptr()).flags |= ffi::AV_PKT_FLAG_DISCARD };
}

/// Whether other codec parameters than `parameters` are valid from this packet on: another sample description (ISO/IEC
/// 14496-12, 8.5.2), or a new codec header.
pub(in crate::transcode) fn is_described_anew(packet: &ff::Packet, parameters: &ff::codec::Parameters) -> bool {
    const DESCRIPTION: ffi::AVPacketSideDataType = ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA;
    let mut size = 0;
    // SAFETY: the packet is allocated, and its side data has `size` bytes; the parameters are allocated, with as many
    // bytes of extradata as they say.
    unsafe {
        let data = ffi::av_packet_get_side_data(packet.as_ptr(), DESCRIPTION, &raw mut size);
        if data.is_null() {
            return false;
        }
        let raw = parameters.as_ptr();
        let known = usize::try_from((*raw).extradata_size).unwrap_or(0);
        if (*raw).extradata.is_null() || known != size {
            return true;
        }
        std::slice::from_raw_parts(data, known) != std::slice::from_raw_parts((*raw).extradata, known)
    }
}

/// Whether the decoder replaced a part of the picture that it could not decode.
pub(in crate::transcode) fn is_concealed(frame: &ff::frame::Video) -> bool {
    const CONCEALED: i32 = ffi::FF_DECODE_ERROR_INVALID_BITSTREAM
        | ffi::FF_DECODE_ERROR_CONCEALMENT_ACTIVE
        | ffi::FF_DECODE_ERROR_DECODE_SLICES;
    // SAFETY: the frame is allocated.
    let flags = unsafe { (*frame.as_ptr()).decode_error_flags };
    flags & CONCEALED != 0
}
