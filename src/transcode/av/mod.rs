//! Wrappers for the parts of libav that ffmpeg-next only offers through `ffi`: explicit demuxers, allow-lists, display
//! matrices, resampling by channel layout. All unsafe code of the transcoder is in this folder.

mod decode;
mod encode;
mod filter;
mod input;
mod mix;
mod mux;
mod names;
mod packet;
mod pair;
mod picture;
mod resample;
mod stream;
mod timeline;

use ffmpeg_next as ff;

pub(super) use decode::{Decoder, warm};
pub(super) use encode::{AudioEncoder, VideoEncoder, encode_still};
pub(super) use filter::{PictureFilter, assume_color};
pub(super) use input::{EmptyEdits, Input};
pub(super) use mix::Mix;
pub(super) use mux::{Muxer, OutputStream, set_initial_padding, set_trim, trim};
pub(super) use names::{
    FrameColor, decoder_for, frame_color, has_alpha, libav_versions, make_writable, pixel_format_name,
    prepare_for_encoder, reference, set_frame_color, silence,
};
pub(super) use names::{inventory, libraries};
pub(super) use packet::{is_concealed, is_described_anew, is_hidden};
pub(super) use pair::PairFilter;
pub(super) use picture::{Mosaic, icc_profile, rgba_frame};
pub(super) use resample::Resampler;
pub(super) use stream::{Edits, StreamType, StreamView};

use crate::error::{Code, Fault};

/// Maps a failure while reading the customer's file: the file is the cause, unless memory ran out.
pub(super) fn reading(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| {
        machine_fault(error, doing)
            .unwrap_or_else(|| Fault::rejected(Code::MediaUnreadable, format!("{doing}: {error}")))
    }
}

/// Maps a failure while writing an encoded output: this machine or this program is the cause.
pub(super) fn writing(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| {
        machine_fault(error, doing).unwrap_or_else(|| Fault::broken(Code::WorkerBroken, format!("{doing}: {error}")))
    }
}

/// Maps a failure while copying the customer's packets. If the muxer refuses their content, the streams cannot be kept,
/// as if the output had failed its check.
pub(super) fn copying(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| match error {
        ff::Error::InvalidData | ff::Error::PatchWelcome | ff::Error::Other { errno: libc::EINVAL | libc::ERANGE } => {
            Fault::rejected(Code::MediaProofFailed, format!("{doing}: {error}"))
        }
        error => writing(doing)(error),
    }
}

/// Packets that are shown in another order than they are decoded in must have presentation times. AVI cannot store
/// those: copied packets would judder, while a decoder restores their order.
///
/// # Errors
/// [`Code::MediaProofFailed`]
pub(super) fn check_order(reorders: bool, packet: &ff::Packet) -> Result<(), Fault> {
    if reorders && packet.pts().is_none() {
        return Err(Fault::rejected(Code::MediaProofFailed, "the stream's packets have no presentation times"));
    }
    Ok(())
}

/// The fault, if this machine is the cause and not the file.
pub(super) fn machine_fault(error: ff::Error, doing: &str) -> Option<Fault> {
    let ff::Error::Other { errno } = error else { return None };
    match errno {
        libc::ENOMEM => Some(Fault::suspect(Code::LimitMemory, format!("{doing}: out of memory"))),
        libc::ENOSPC => Some(Fault::transient(Code::WorkerScratch, format!("{doing}: the scratch directory is full"))),
        libc::EFBIG => {
            Some(Fault::rejected(Code::LimitOutput, format!("{doing}: the output grew beyond limits.output_bytes")))
        }
        _ => None,
    }
}

/// A timestamp in ms.
pub(super) fn to_ms(timestamp: i64, time_base: ff::Rational) -> i64 {
    rescale(timestamp, time_base, ff::Rational::new(1, 1000))
}

/// A timestamp in another time base, rounded to the nearest.
pub(super) fn rescale(timestamp: i64, from: ff::Rational, to: ff::Rational) -> i64 {
    use ff::Rescale as _;
    timestamp.rescale(from, to)
}
