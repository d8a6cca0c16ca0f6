//! Encoders: x264, LAME, AAC, and single pictures.
#![expect(unsafe_code, reason = "channel layouts and colour tags of an encoder are fields of libav's context")]

use std::ptr::addr_of_mut;

use ff::ffi;
use ffmpeg_next as ff;

use crate::plan::{AudioCodec, AudioSettings, RateControl, VideoSettings};

/// H.264 by x264: High, 4:2:0, 8 bit, BT.709, limited range.
pub(in crate::transcode) struct VideoEncoder {
    inner: ff::codec::encoder::video::Encoder,
    /// Time base of the frames fed and the packets returned.
    pub(in crate::transcode) time_base: ff::Rational,
}

impl VideoEncoder {
    /// Opens the encoder. `frame_rate` is a hint for rate control and for the length of a group of pictures.
    ///
    /// # Errors
    /// libav's error if x264 is missing or refuses the settings.
    pub(in crate::transcode) fn open(
        settings: &VideoSettings,
        time_base: ff::Rational,
        frame_rate: f64,
        threads: u32,
    ) -> Result<Self, ff::Error> {
        let codec = ff::encoder::find_by_name("libx264").ok_or(ff::Error::EncoderNotFound)?;
        let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().video()?;
        encoder.set_width(settings.width);
        encoder.set_height(settings.height);
        encoder.set_format(ff::format::Pixel::YUV420P);
        encoder.set_aspect_ratio(ff::Rational::new(1, 1));
        encoder.set_time_base(time_base);
        encoder.set_frame_rate(Some(approximate(frame_rate)));
        encoder.set_gop(keyframe_interval(frame_rate, settings.keyframe_interval_s));
        // Closed groups: after a seek, players can show the frames around a keyframe without those of the group before.
        encoder.set_flags(ff::codec::Flags::GLOBAL_HEADER | ff::codec::Flags::CLOSED_GOP);
        // SAFETY: the context is allocated and not yet open; the numbers are BT.709 limited in ITU-T H.273.
        unsafe {
            let raw = encoder.as_mut_ptr();
            (*raw).thread_count = i32::try_from(threads).unwrap_or(1).max(1);
            addr_of_mut!((*raw).color_range).cast::<u32>().write(1);
            addr_of_mut!((*raw).color_primaries).cast::<u32>().write(1);
            addr_of_mut!((*raw).color_trc).cast::<u32>().write(1);
            addr_of_mut!((*raw).colorspace).cast::<u32>().write(1);
        }
        let inner = encoder.open_as_with(codec, x264_options(settings))?;
        Ok(Self { inner, time_base })
    }

    /// The parameters for the muxer.
    pub(in crate::transcode) fn parameters(&self) -> ff::codec::Parameters {
        ff::codec::Parameters::from(&self.inner)
    }

    /// Feeds a frame, or the end with `None`, and passes on the packets that come out.
    ///
    /// # Errors
    /// libav's error.
    pub(in crate::transcode) fn push<E: From<ff::Error>>(
        &mut self,
        frame: Option<&ff::frame::Video>,
        on_packet: &mut dyn FnMut(ff::Packet) -> Result<(), E>,
    ) -> Result<(), E> {
        push(&mut self.inner, frame.map(|f| &**f), on_packet)
    }
}

fn x264_options(settings: &VideoSettings) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("preset", &settings.preset);
    options.set("profile", settings.h264_profile.as_str());
    if !settings.b_frames {
        options.set("bf", "0");
    }
    match settings.rate {
        RateControl::Crf(crf) => options.set("crf", &crf.to_string()),
        RateControl::CappedCrf(crf, bit_rate) => {
            options.set("crf", &crf.to_string());
            options.set("maxrate", &bit_rate.to_string());
            options.set("bufsize", &(bit_rate * 2).to_string());
        }
        RateControl::Average(bit_rate) => {
            options.set("b", &bit_rate.to_string());
            options.set("maxrate", &bit_rate.to_string());
            options.set("bufsize", &(bit_rate * 2).to_string());
        }
    }
    options
}

/// In frames. So few frames are decoded at once wherever a player begins, and of a slide show each would be a keyframe else.
const LEAST_KEYFRAME_INTERVAL: f64 = 10.0;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frame rate times seconds")]
fn keyframe_interval(frame_rate: f64, seconds: f64) -> u32 {
    (frame_rate * seconds).floor().clamp(LEAST_KEYFRAME_INTERVAL, 600.0) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a frame rate below 1000")]
fn approximate(frame_rate: f64) -> ff::Rational {
    ff::Rational::new((frame_rate * 1000.0).round() as i32, 1000)
}

/// MP3 by LAME, or AAC-LC by libav.
pub(in crate::transcode) struct AudioEncoder {
    inner: ff::codec::encoder::audio::Encoder,
    format: ff::format::Sample,
    channels: usize,
    rate: i32,
    next_pts: i64,
    /// The samples of the last call. Its memory is used again if the encoder does not keep it.
    frame: ff::frame::Audio,
    /// The factor that compensates the encoder's own attenuation.
    makeup: f32,
}

/// The factor by which LAME 3.100 scales its input at a constant bit rate, to prevent clipping in players without
/// headroom (from its table of presets; measured with a sine). It is compensated, because the profile sets the limit on
/// true peaks and the loudness has to be the promised one.
fn lame_scale(settings: &AudioSettings) -> f32 {
    match (settings.codec, settings.vbr_quality, settings.bit_rate) {
        (AudioCodec::Aac | AudioCodec::Opus, ..) | (AudioCodec::Mp3, Some(_), _) => 1.0,
        (AudioCodec::Mp3, None, ..=160_000) => 0.95,
        (AudioCodec::Mp3, None, ..=192_000) => 0.97,
        (AudioCodec::Mp3, None, ..=224_000) => 0.98,
        (AudioCodec::Mp3, None, _) => 1.0,
    }
}

/// libopus takes interleaved channels.
const fn sample_format(codec: AudioCodec) -> ff::format::Sample {
    use ff::format::sample::Type;
    ff::format::Sample::F32(match codec {
        AudioCodec::Opus => Type::Packed,
        AudioCodec::Mp3 | AudioCodec::Aac => Type::Planar,
    })
}

impl AudioEncoder {
    /// Opens the encoder.
    ///
    /// # Errors
    /// libav's error if the encoder is missing or refuses the settings.
    pub(in crate::transcode) fn open(settings: &AudioSettings) -> Result<Self, ff::Error> {
        let name = match settings.codec {
            AudioCodec::Mp3 => "libmp3lame",
            AudioCodec::Aac => "aac",
            AudioCodec::Opus => "libopus",
        };
        let codec = ff::encoder::find_by_name(name).ok_or(ff::Error::EncoderNotFound)?;
        let rate = i32::try_from(settings.sample_rate_hz).map_err(|_| ff::Error::InvalidData)?;
        let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().audio()?;
        encoder.set_rate(rate);
        encoder.set_format(sample_format(settings.codec));
        encoder.set_time_base(ff::Rational::new(1, rate));
        encoder.set_bit_rate(settings.bit_rate as usize);
        // SAFETY: the context is allocated and not yet open.
        unsafe {
            let raw = encoder.as_mut_ptr();
            ffi::av_channel_layout_default(
                addr_of_mut!((*raw).ch_layout),
                i32::try_from(settings.channels).unwrap_or(1),
            );
        }
        if settings.codec == AudioCodec::Aac {
            encoder.set_flags(ff::codec::Flags::GLOBAL_HEADER);
        }
        let mut options = ff::Dictionary::new();
        if settings.codec == AudioCodec::Opus {
            options.set("application", "voip");
            options.set("vbr", "on");
            options.set("compression_level", &settings.compression_level.to_string());
        }
        if settings.codec == AudioCodec::Mp3 {
            options.set("compression_level", &settings.compression_level.to_string());
            if let Some(quality) = settings.vbr_quality {
                options.set("flags", "+qscale");
                options.set("global_quality", &(i32::from(quality) * ffi::FF_QP2LAMBDA).to_string());
            }
        }
        let inner = encoder.open_as_with(codec, options)?;
        let makeup = lame_scale(settings).recip();
        Ok(Self {
            inner,
            format: sample_format(settings.codec),
            channels: settings.channels as usize,
            rate,
            next_pts: 0,
            frame: ff::frame::Audio::empty(),
            makeup,
        })
    }

    /// The parameters for the muxer.
    pub(in crate::transcode) fn parameters(&self) -> ff::codec::Parameters {
        ff::codec::Parameters::from(&self.inner)
    }

    /// Time base of the frames fed and the packets returned.
    pub(in crate::transcode) fn time_base(&self) -> ff::Rational {
        ff::Rational::new(1, self.rate)
    }

    /// Samples for each channel in one frame.
    pub(in crate::transcode) fn frame_size(&self) -> usize {
        match self.inner.frame_size() {
            0 => 1152,
            size => size as usize,
        }
    }

    /// Encodes at most [`Self::frame_size`] interleaved samples, multiplied by `gain`; an empty slice marks the end.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn push<E: From<ff::Error>>(
        &mut self,
        interleaved: &[f32],
        gain: f32,
        on_packet: &mut dyn FnMut(ff::Packet) -> Result<(), E>,
    ) -> Result<(), E> {
        if interleaved.is_empty() {
            return push(&mut self.inner, None, on_packet);
        }
        let gain = gain * self.makeup;
        let count = interleaved.len() / self.channels;
        // SAFETY: the frame is allocated; without memory it is not writable.
        let is_free = unsafe { ffi::av_frame_is_writable(self.frame.as_mut_ptr()) } > 0;
        if !is_free || self.frame.samples() < count {
            let layout = ff::ChannelLayout::default(i32::try_from(self.channels).unwrap_or(1));
            self.frame = ff::frame::Audio::new(self.format, count, layout);
            self.frame.set_rate(self.rate.unsigned_abs());
        }
        let (frame, step) = (&mut self.frame, if self.format.is_packed() { 1 } else { self.channels });
        frame.set_samples(count);
        frame.set_pts(Some(self.next_pts));
        self.next_pts += i64::try_from(count).unwrap_or(0);
        // In a packed format all channels are interleaved in the first plane.
        for channel in 0..step {
            let plane = frame.plane_mut::<f32>(channel).iter_mut();
            // Without steps the compiler multiplies several samples at once.
            if step == 1 {
                plane.zip(interleaved).for_each(|(to, from)| *to = from * gain);
            } else {
                let samples = interleaved.iter().skip(channel).step_by(step);
                plane.zip(samples).for_each(|(to, from)| *to = from * gain);
            }
        }
        push(&mut self.inner, Some(&**frame), on_packet)
    }
}

fn push<E: From<ff::Error>>(
    encoder: &mut ff::codec::encoder::Encoder,
    frame: Option<&ff::Frame>,
    on_packet: &mut dyn FnMut(ff::Packet) -> Result<(), E>,
) -> Result<(), E> {
    match frame {
        Some(frame) => encoder.send_frame(frame)?,
        None => encoder.send_eof()?,
    }
    loop {
        let mut packet = ff::Packet::empty();
        match encoder.receive_packet(&mut packet) {
            Ok(()) => on_packet(packet)?,
            Err(ff::Error::Eof | ff::Error::Other { errno: libc::EAGAIN }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Encodes one picture as a file: `mjpeg` (quality 2 to 31) or `png`.
///
/// # Errors
/// libav's.
pub(in crate::transcode) fn encode_still(
    codec: &str,
    frame: &ff::frame::Video,
    quality: Option<u8>,
) -> Result<Vec<u8>, ff::Error> {
    let codec = ff::encoder::find_by_name(codec).ok_or(ff::Error::EncoderNotFound)?;
    let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().video()?;
    encoder.set_width(frame.width());
    encoder.set_height(frame.height());
    encoder.set_format(frame.format());
    encoder.set_time_base(ff::Rational::new(1, 25));
    let mut options = ff::Dictionary::new();
    options.set("threads", "1");
    if let Some(quality) = quality {
        options.set("flags", "+qscale");
        options.set("global_quality", &(i32::from(quality) * ffi::FF_QP2LAMBDA).to_string());
    }
    let mut encoder = encoder.open_as_with(codec, options)?;
    let mut frame = frame.clone();
    frame.set_pts(Some(0));
    // SAFETY: the frame is ours. The picture type was set by the decoder, and quality is read from each frame.
    unsafe {
        (*frame.as_mut_ptr()).pict_type = ffi::AVPictureType::AV_PICTURE_TYPE_NONE;
        (*frame.as_mut_ptr()).quality = quality.map_or(0, |q| i32::from(q) * ffi::FF_QP2LAMBDA);
    }
    let mut bytes = Vec::new();
    let mut keep = |packet: ff::Packet| -> Result<(), ff::Error> {
        bytes.extend_from_slice(packet.data().unwrap_or_default());
        Ok(())
    };
    push(&mut encoder, Some(&*frame), &mut keep)?;
    push(&mut encoder, None, &mut keep)?;
    Ok(bytes)
}
