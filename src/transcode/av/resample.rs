//! Any decoded sound to interleaved 32-bit float at one rate and channel count.
#![expect(unsafe_code, reason = "libswresample by channel layout has no safe wrapper")]

use std::ptr;

use ff::ffi;
use ffmpeg_next as ff;

/// Samples per channel that are converted in one call; keeps the output buffer small whatever a frame claims.
const CHUNK: u16 = 8192;

/// Converts frames as they come, also where their format changes on the way.
pub(in crate::transcode) struct Resampler {
    context: *mut ffi::SwrContext,
    input: Option<(i32, i32, i32)>,
    rate: i32,
    channels: u8,
    buffer: Vec<f32>,
}

impl Resampler {
    /// To this rate and number of channels.
    pub(in crate::transcode) fn new(rate_hz: u32, channels: u32) -> Self {
        let channels = u8::try_from(channels).unwrap_or(2);
        Self {
            context: ptr::null_mut(),
            input: None,
            rate: i32::try_from(rate_hz).unwrap_or(48_000),
            channels,
            buffer: vec![0.0; usize::from(CHUNK) * usize::from(channels)],
        }
    }

    /// Converts one frame and hands on interleaved samples.
    ///
    /// # Errors
    /// libav's, where the frame's layout cannot be mixed down.
    pub(in crate::transcode) fn push(
        &mut self,
        frame: &ff::frame::Audio,
        out: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ff::Error> {
        // SAFETY: the frame holds `nb_samples` samples in each plane of `extended_data`, as its format says.
        unsafe {
            let raw = frame.as_ptr();
            let format = ((*raw).format, (*raw).sample_rate, (*raw).ch_layout.nb_channels);
            if self.input != Some(format) {
                self.finish(out)?;
                self.configure(raw)?;
                self.input = Some(format);
            }
            let input = (*raw).extended_data.cast::<*const u8>();
            self.convert(input, (*raw).nb_samples, out)
        }
    }

    /// Hands on what the filter still holds.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn finish(&mut self, out: &mut dyn FnMut(&[f32])) -> Result<(), ff::Error> {
        if self.context.is_null() {
            return Ok(());
        }
        // SAFETY: a null input drains the filter.
        unsafe { self.convert(ptr::null_mut(), 0, out) }
    }

    /// # Safety
    /// `input` is null, or points to planes of `count` samples in the configured format.
    unsafe fn convert(
        &mut self,
        input: *mut *const u8,
        count: i32,
        out: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ff::Error> {
        let (mut input, mut count) = (input, count);
        loop {
            let mut target = self.buffer.as_mut_ptr().cast::<u8>();
            // SAFETY: the buffer has room for CHUNK samples of each channel; the caller vouches for the input.
            let made = unsafe { ffi::swr_convert(self.context, &raw mut target, i32::from(CHUNK), input, count) };
            let Ok(frames) = usize::try_from(made) else { return Err(ff::Error::from(made)) };
            out(&self.buffer[..frames * usize::from(self.channels)]);
            if frames < usize::from(CHUNK) {
                return Ok(());
            }
            // The filter keeps what did not fit; a call without input fetches it. With a null pointer it would
            // take this for the end, so an empty input is passed instead.
            if !input.is_null() {
                count = 0;
            }
            input = if input.is_null() { ptr::null_mut() } else { input };
        }
    }

    /// # Safety
    /// `frame` is a decoded audio frame.
    unsafe fn configure(&mut self, frame: *const ffi::AVFrame) -> Result<(), ff::Error> {
        // SAFETY: layouts are initialised before use and uninitialised after; the context is ours.
        unsafe {
            ffi::swr_free(&raw mut self.context);
            let mut from: ffi::AVChannelLayout = std::mem::zeroed();
            if (*frame).ch_layout.order as u32 == 0 {
                // Only a number of channels is known: take the usual layout for it.
                ffi::av_channel_layout_default(&raw mut from, (*frame).ch_layout.nb_channels);
            } else {
                ffi::av_channel_layout_copy(&raw mut from, &raw const (*frame).ch_layout);
            }
            let mut to: ffi::AVChannelLayout = std::mem::zeroed();
            ffi::av_channel_layout_default(&raw mut to, i32::from(self.channels));
            let format: ff::format::Sample = sample_format((*frame).format);
            let result = ffi::swr_alloc_set_opts2(
                &raw mut self.context,
                &raw mut to,
                ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT,
                self.rate,
                &raw mut from,
                format.into(),
                (*frame).sample_rate,
                0,
                ptr::null_mut(),
            );
            ffi::av_channel_layout_uninit(&raw mut from);
            ffi::av_channel_layout_uninit(&raw mut to);
            if result < 0 {
                return Err(ff::Error::from(result));
            }
            // Without this, six channels folded into two can exceed full scale.
            ffi::av_opt_set_double(self.context.cast(), c"rematrix_maxval".as_ptr(), 1.0, 0);
            match ffi::swr_init(self.context) {
                0.. => Ok(()),
                error => Err(ff::Error::from(error)),
            }
        }
    }
}

fn sample_format(number: i32) -> ff::format::Sample {
    use ff::format::sample::{Sample, Type};
    match number {
        0 => Sample::U8(Type::Packed),
        1 => Sample::I16(Type::Packed),
        2 => Sample::I32(Type::Packed),
        3 => Sample::F32(Type::Packed),
        4 => Sample::F64(Type::Packed),
        5 => Sample::U8(Type::Planar),
        6 => Sample::I16(Type::Planar),
        7 => Sample::I32(Type::Planar),
        8 => Sample::F32(Type::Planar),
        9 => Sample::F64(Type::Planar),
        10 => Sample::I64(Type::Packed),
        11 => Sample::I64(Type::Planar),
        _ => Sample::None,
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: ours, or null.
        unsafe { ffi::swr_free(&raw mut self.context) }
    }
}
