//! Converts any decoded sound to interleaved 32-bit floats with one sample rate and number of channels.
#![expect(unsafe_code, reason = "libswresample by channel layout has no safe wrapper")]

use std::ptr;

use ff::ffi;
use ffmpeg_next as ff;

use super::mix::{self, Layout, Mix, Polarity};

/// Samples per channel that are converted in one call. Keeps the output buffer small, whatever size a frame claims.
const CHUNK: u16 = 8192;

/// Converts frames one after the other, even if their format changes.
pub(in crate::transcode) struct Resampler {
    context: *mut ffi::SwrContext,
    input: Option<Shape>,
    rate: i32,
    channels: u8,
    mix: Mix,
    /// Present if two channels are mixed into one.
    polarity: Option<Polarity>,
    buffer: Vec<f32>,
}

/// What a conversion is configured for: format, rate, number of channels, and their layout with its mask.
type Shape = (i32, i32, i32, (Layout, u64));

impl Resampler {
    /// A converter to this rate and number of channels.
    pub(in crate::transcode) fn new(rate_hz: u32, channels: u32, mix: Mix) -> Self {
        let channels = u8::try_from(channels).unwrap_or(2);
        Self {
            context: ptr::null_mut(),
            input: None,
            rate: i32::try_from(rate_hz).unwrap_or(48_000),
            channels,
            mix,
            polarity: None,
            buffer: vec![0.0; usize::from(CHUNK) * usize::from(channels)],
        }
    }

    /// Converts one frame and passes on interleaved samples.
    ///
    /// # Errors
    /// libav's error if the frame's layout cannot be mixed.
    pub(in crate::transcode) fn push(
        &mut self,
        frame: &ff::frame::Audio,
        out: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ff::Error> {
        // SAFETY: the frame holds `nb_samples` samples in each plane of `extended_data`, as its format says.
        unsafe {
            let raw = frame.as_ptr();
            let layout = layout_of(&raw const (*raw).ch_layout);
            let shape = ((*raw).format, (*raw).sample_rate, (*raw).ch_layout.nb_channels, layout);
            if self.input != Some(shape) {
                self.finish(out)?;
                self.input = None;
                self.configure(raw, layout.0)?;
                self.input = Some(shape);
            }
            if self.channels == 1 && shape.2 == 2 && self.mix == Mix::All {
                let window = usize::try_from(shape.1 / 2).unwrap_or(1).max(1);
                compare_channels(raw, self.polarity.get_or_insert_with(|| Polarity::new(window)));
            }
            let input = (*raw).extended_data.cast::<*const u8>();
            self.convert(input, (*raw).nb_samples, out)
        }
    }

    /// Passes on the samples that the filter still holds.
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
            // The filter keeps what did not fit. A call without input fetches it; with a null pointer it would be
            // treated as the end, so an empty input is passed.
            if !input.is_null() {
                count = 0;
            }
            input = if input.is_null() { ptr::null_mut() } else { input };
        }
    }

    /// The channel to use alone, if two channels were mixed into one and cancelled each other.
    pub(in crate::transcode) fn opposed(&mut self) -> Option<usize> {
        self.polarity.take().and_then(Polarity::opposed)
    }

    /// # Safety
    /// `frame` is a decoded audio frame.
    unsafe fn configure(&mut self, frame: *const ffi::AVFrame, layout: Layout) -> Result<(), ff::Error> {
        // SAFETY: the caller vouches for the frame.
        unsafe {
            let inputs = usize::try_from((*frame).ch_layout.nb_channels).unwrap_or(0);
            let outputs = usize::from(self.channels);
            if let Some(matrix) = mix::matrix(self.mix, layout, inputs, outputs) {
                return self.set_up(frame, Some(&matrix));
            }
            match self.set_up(frame, None) {
                Ok(()) => Ok(()),
                // libswresample has no rule for this layout, so the channels are mixed by their number.
                Err(ff::Error::Other { errno: libc::EINVAL }) => self.set_up(frame, Some(&mix::plain(inputs, outputs))),
                Err(error) => Err(error),
            }
        }
    }

    /// Without a matrix, libswresample mixes by the layout. After a failure there is no context.
    ///
    /// # Safety
    /// `frame` is a decoded audio frame; the matrix has a weight for each of its channels and each output.
    unsafe fn set_up(&mut self, frame: *const ffi::AVFrame, matrix: Option<&[f64]>) -> Result<(), ff::Error> {
        // SAFETY: layouts are initialised before use and uninitialised after; the context is ours.
        unsafe {
            ffi::swr_free(&raw mut self.context);
            let inputs = (*frame).ch_layout.nb_channels;
            let mut from: ffi::AVChannelLayout = std::mem::zeroed();
            if matrix.is_some() {
                // Only the number of channels is known, not their positions.
                from.nb_channels = inputs;
            } else if inputs <= 2 {
                ffi::av_channel_layout_default(&raw mut from, inputs);
            } else {
                ffi::av_channel_layout_copy(&raw mut from, &raw const (*frame).ch_layout);
            }
            let mut to: ffi::AVChannelLayout = std::mem::zeroed();
            ffi::av_channel_layout_default(&raw mut to, i32::from(self.channels));
            let format: ff::format::Sample = sample_format((*frame).format);
            let mut result = ffi::swr_alloc_set_opts2(
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
            if let (0.., Some(matrix)) = (result, matrix) {
                result = ffi::swr_set_matrix(self.context, matrix.as_ptr(), inputs);
            }
            if result >= 0 {
                // Without this, six channels mixed into two can exceed full scale.
                ffi::av_opt_set_double(self.context.cast(), c"rematrix_maxval".as_ptr(), 1.0, 0);
                result = ffi::swr_init(self.context);
            }
            if result < 0 {
                ffi::swr_free(&raw mut self.context);
                return Err(ff::Error::from(result));
            }
            Ok(())
        }
    }
}

/// # Safety
/// `layout` is valid.
unsafe fn layout_of(layout: *const ffi::AVChannelLayout) -> (Layout, u64) {
    // SAFETY: the order is a C enum and read as an integer; the mask is the valid member of the union in native order.
    unsafe {
        match (ptr::addr_of!((*layout).order).cast::<u32>().read(), (*layout).nb_channels) {
            (1, _) => (Layout::Native, (*layout).u.mask),
            (3, 4..) => (Layout::Ambisonic, 0),
            _ => (Layout::Unknown, 0),
        }
    }
}

/// Passes on both channels of a frame with two channels.
///
/// # Safety
/// `frame` is a decoded audio frame of two channels.
unsafe fn compare_channels(frame: *const ffi::AVFrame, polarity: &mut Polarity) {
    /// # Safety
    /// As above, and `T` is what the frame's samples are.
    unsafe fn each<T: Copy>(frame: *const ffi::AVFrame, planar: bool, on_pair: &mut dyn FnMut(T, T)) {
        // SAFETY: each plane holds `nb_samples` samples; a packed one holds both channels alternately.
        unsafe {
            let samples = usize::try_from((*frame).nb_samples).unwrap_or(0);
            let planes = (*frame).extended_data;
            let first = (*planes).cast::<T>();
            let (second, step) = if planar { ((*planes.add(1)).cast::<T>(), 1) } else { (first.add(1), 2) };
            for n in 0..samples {
                on_pair(first.add(n * step).read(), second.add(n * step).read());
            }
        }
    }
    // SAFETY: the format determines the sample type.
    unsafe {
        let format = (*frame).format;
        match format {
            1 | 6 => each::<i16>(frame, format == 6, &mut |l, r| polarity.push(f64::from(l), f64::from(r))),
            2 | 7 => each::<i32>(frame, format == 7, &mut |l, r| polarity.push(f64::from(l), f64::from(r))),
            3 | 8 => each::<f32>(frame, format == 8, &mut |l, r| polarity.push(f64::from(l), f64::from(r))),
            4 | 9 => each::<f64>(frame, format == 9, &mut |l, r| polarity.push(l, r)),
            0 | 5 => each::<u8>(frame, format == 5, &mut |l, r| {
                polarity.push(f64::from(l) - 128.0, f64::from(r) - 128.0);
            }),
            _ => {}
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
