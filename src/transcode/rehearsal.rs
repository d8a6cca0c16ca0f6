//! Calls all libraries that jobs need, without a file. A child that lacks one of them ends here, when the worker
//! starts, and not while it processes a customer's file.

use ffmpeg_next as ff;

use super::av::{AudioEncoder, Mix, PictureFilter, Resampler, VideoEncoder, prepare_for_encoder};
use crate::plan::{AudioCodec, AudioSettings, RateControl, VideoSettings};
use crate::profile::H264Profile;

const SIDE: u32 = 64;
/// More than one: codecs with several threads use parts of libraries that a single thread does not.
const THREADS: u32 = 2;

/// Encodes a grey frame and a short silence, through the filters that pictures and sounds go through.
///
/// # Errors
/// What failed, as text. A library that is missing in the child is not reported: calling it ends the process.
pub(super) fn rehearse() -> Result<(), String> {
    picture().and_then(|()| sound()).map_err(|error| format!("libav cannot encode a test frame: {error}"))
}

fn picture() -> Result<(), ff::Error> {
    let grey = ff::frame::Video::new(ff::format::Pixel::YUV420P, SIDE, SIDE);
    let shown = PictureFilter::apply(&grey, "zscale=w=32:h=32:tin=709:min=709:pin=709:t=709:m=709:p=709,format=rgb24")?;
    let mut frame = PictureFilter::apply(&shown, "scale=64:64,format=yuv420p")?;
    let settings = VideoSettings {
        width: SIDE,
        height: SIDE,
        frame_rate_cap: None,
        rate: RateControl::Crf(30.0),
        h264_profile: H264Profile::High,
        b_frames: true,
        preset: "ultrafast".to_owned(),
        keyframe_interval_s: 1.0,
        tone_map: false,
    };
    let mut encoder = VideoEncoder::open(&settings, ff::Rational::new(1, 25), 25.0, THREADS)?;
    prepare_for_encoder(&mut frame);
    frame.set_pts(Some(0));
    encoder.push(Some(&frame), &mut |_| Ok::<_, ff::Error>(()))?;
    encoder.push(None, &mut |_| Ok(()))
}

fn sound() -> Result<(), ff::Error> {
    for codec in [AudioCodec::Mp3, AudioCodec::Aac, AudioCodec::Opus] {
        let settings = AudioSettings {
            codec,
            sample_rate_hz: 24_000,
            channels: 1,
            bit_rate: 40_000,
            vbr_quality: None,
            compression_level: 7,
            loudness: None,
        };
        let mut encoder = AudioEncoder::open(&settings)?;
        let mut silence = Vec::new();
        let mut frame = ff::frame::Audio::new(
            ff::format::Sample::I16(ff::format::sample::Type::Packed),
            4800,
            ff::ChannelLayout::MONO,
        );
        frame.set_rate(48_000);
        frame.data_mut(0).fill(0);
        let mut resampler = Resampler::new(24_000, 1, Mix::All);
        resampler.push(&frame, &mut |samples| silence.extend_from_slice(samples))?;
        for samples in silence.chunks(encoder.frame_size()) {
            encoder.push(samples, 1.0, &mut |_| Ok::<_, ff::Error>(()))?;
        }
        encoder.push(&[], 1.0, &mut |_| Ok::<_, ff::Error>(()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rehearsal_succeeds() {
        crate::transcode::rehearsal::rehearse().expect("libav has what every job needs");
    }
}
