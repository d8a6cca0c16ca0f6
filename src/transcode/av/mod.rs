//! What ffmpeg-next leaves to its `ffi`: explicit demuxers, allow-lists, display matrices, resampling by channel
//! layout. All unsafe code of the transcoder is in this folder.

mod decode;
mod encode;
mod filter;
mod input;
mod mux;
mod names;
mod pair;
mod resample;
mod stream;
mod timeline;

use ffmpeg_next as ff;

pub(super) use decode::{Decoder, warm};
pub(super) use encode::{AudioEncoder, VideoEncoder, encode_still};
pub(super) use filter::{PictureFilter, assume_color};
pub(super) use input::Input;
pub(super) use mux::{Muxer, OutputStream, set_initial_padding, set_trim, trim};
pub(super) use names::{
    decoder_for, frame_color, has_alpha, libav_versions, make_writable, pixel_format_name, prepare_for_encoder,
    reference, set_frame_color, silence,
};
pub(super) use names::{inventory, libraries};
pub(super) use pair::PairFilter;
pub(super) use resample::Resampler;
pub(super) use stream::{StreamType, StreamView};

use crate::error::{Code, Fault};

/// A failure while reading what the customer sent: the file is to blame, unless memory ran out.
pub(super) fn reading(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| {
        machine_fault(error, doing)
            .unwrap_or_else(|| Fault::rejected(Code::MediaUnreadable, format!("{doing}: {error}")))
    }
}

/// A failure while writing what we make: this machine or this program is to blame.
pub(super) fn writing(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| {
        machine_fault(error, doing).unwrap_or_else(|| Fault::broken(Code::WorkerBroken, format!("{doing}: {error}")))
    }
}

/// A failure while writing packets as the customer sent them: where the muxer refuses what is in them, they cannot be
/// kept, as if their proof had failed.
pub(super) fn copying(doing: &'static str) -> impl Fn(ff::Error) -> Fault {
    move |error| match error {
        ff::Error::InvalidData | ff::Error::PatchWelcome | ff::Error::Other { errno: libc::EINVAL | libc::ERANGE } => {
            Fault::rejected(Code::MediaProofFailed, format!("{doing}: {error}"))
        }
        error => writing(doing)(error),
    }
}

/// Packets whose pictures are shown in another order than they stand in have to say when. AVI has no word for it: copied,
/// they would judder; decoded, they find their order.
///
/// # Errors
/// [`Code::MediaProofFailed`]
pub(super) fn check_order(reorders: bool, packet: &ff::Packet) -> Result<(), Fault> {
    if reorders && packet.pts().is_none() {
        return Err(Fault::rejected(Code::MediaProofFailed, "its packets do not say when their pictures are shown"));
    }
    Ok(())
}

/// Where this machine is to blame rather than the file.
pub(super) fn machine_fault(error: ff::Error, doing: &str) -> Option<Fault> {
    let ff::Error::Other { errno } = error else { return None };
    match errno {
        libc::ENOMEM => Some(Fault::suspect(Code::LimitMemory, format!("{doing}: out of memory"))),
        libc::ENOSPC => Some(Fault::transient(Code::WorkerScratch, format!("{doing}: the scratch directory is full"))),
        libc::EFBIG => Some(Fault::rejected(Code::LimitOutput, format!("{doing}: the output grew beyond its limit"))),
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
