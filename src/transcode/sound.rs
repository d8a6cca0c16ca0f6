//! One pass over a sound: decode, resample, measure, keep. Then one pass over what was kept: gain, encode, peaks.

use ffmpeg_next as ff;

use super::av::{self, AudioEncoder, Decoder, Resampler, StreamView};
use super::job::{Trouble, scratch};
use super::loudness::{self, Meter};
use super::packets::PacketSpool;
use super::spool::Spool;
use super::waveform::PeakMeter;
use crate::domain::{AudioSettings, LoudnessTarget};
use crate::error::{Code, Fault};
use crate::events::Loudness;

/// A jump in the timestamps that is seen, since lips and words come apart: filled with silence, or cut. Recorders'
/// jitter stays below.
const GAP_NS: i64 = 20_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// 60 dB above full scale: nobody recorded that.
const LOUDEST: f32 = 1000.0;

/// Decodes one stream into a spool.
pub(super) struct SoundReader {
    decoder: Decoder<ff::frame::Audio>,
    keeper: Keeper,
    codec: String,
}

struct Keeper {
    resampler: Resampler,
    spool: Spool,
    meter: Meter,
    rate: u32,
    channels: u32,
    time_base: ff::Rational,
    /// Where samples have to stay in step with a picture: the time of the file's start in ms.
    timeline: Option<Timeline>,
    max_frames: u64,
}

struct Timeline {
    offset_ms: i64,
    /// Time of the next sample, in ns: in µs, an hour of AAC frames would drift by 150 ms.
    next_ns: i64,
}

/// A decoded sound.
pub(super) struct Sound {
    spool: Spool,
    pub(super) loudness: Loudness,
    pub(super) rate: u32,
    pub(super) channels: u32,
    pub(super) packets: u64,
    pub(super) bad_packets: u64,
}

impl SoundReader {
    /// For one stream, to this rate and number of channels. With `offset_ms`, samples are laid on the file's timeline.
    ///
    /// # Errors
    /// Where the decoder does not take the stream.
    pub(super) fn open(
        stream: &StreamView<'_>,
        (rate, channels): (u32, u32),
        offset_ms: Option<i64>,
        max_duration_s: u64,
    ) -> Result<Self, Fault> {
        let decoder = Decoder::open(stream, 1, u64::MAX).map_err(av::reading("opening the audio decoder"))?;
        let keeper = Keeper {
            resampler: Resampler::new(rate, channels),
            spool: Spool::default(),
            meter: Meter::new(channels, rate)?,
            rate,
            channels,
            time_base: stream.time_base(),
            timeline: offset_ms.map(|offset_ms| Timeline { offset_ms, next_ns: 0 }),
            max_frames: max_duration_s.saturating_mul(u64::from(rate)),
        };
        Ok(Self { decoder, keeper, codec: stream.codec_name() })
    }

    /// Feeds a packet, or the end with `None`.
    ///
    /// # Errors
    /// A limit, or this machine's trouble. Damaged data is counted.
    pub(super) fn push(&mut self, packet: Option<&ff::Packet>) -> Result<(), Fault> {
        let _decoding = stage!("decode").entered();
        if let Some(packet) = packet.filter(|packet| is_pause(&self.codec, packet.data())) {
            return self.keeper.conceal(packet);
        }
        let keeper = &mut self.keeper;
        let (mut frames, mut refused) = (0, 0);
        let bad_before = self.decoder.bad;
        self.decoder.push(packet, &mut |frame| {
            frames += 1;
            refused += u64::from(!keeper.keep(frame)?);
            Ok(())
        })?;
        let lost = self.decoder.bad > bad_before && frames == 0;
        self.decoder.bad += refused;
        match packet.filter(|_| lost) {
            Some(packet) => self.keeper.conceal(packet),
            None => Ok(()),
        }
    }

    /// Length so far, in ms.
    pub(super) fn duration_ms(&self) -> u64 {
        frames_to_ms(self.keeper.spool.len() / u64::from(self.keeper.channels), self.keeper.rate)
    }

    /// Drains decoder and filter, and closes the measurement.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub(super) fn finish(mut self, target: Option<LoudnessTarget>) -> Result<Sound, Fault> {
        self.push(None)?;
        let mut keeper = self.keeper;
        let mut tail = Vec::new();
        keeper.resampler.finish(&mut |samples| tail.extend_from_slice(samples)).map_err(av::reading("resampling"))?;
        keeper.store(&tail)?;
        Ok(Sound {
            loudness: keeper.meter.finish(target),
            spool: keeper.spool,
            rate: keeper.rate,
            channels: keeper.channels,
            packets: self.decoder.packets,
            bad_packets: self.decoder.bad,
        })
    }
}

impl Keeper {
    /// False where the frame's format cannot be used.
    fn keep(&mut self, frame: &ff::frame::Audio) -> Result<bool, Fault> {
        if frame.samples() == 0 || frame.rate() == 0 {
            return Ok(true);
        }
        let skip = self.align(frame)?;
        let mut converted = Vec::with_capacity(frame.samples() * self.channels as usize);
        let resampling = stage!("resample").entered();
        if self.resampler.push(frame, &mut |samples| converted.extend_from_slice(samples)).is_err() {
            return Ok(false);
        }
        drop(resampling);
        // What comes out lags behind by the filter's delay, which is below what anybody notices.
        let skip = skip.min(converted.len());
        self.store(&converted[skip..])?;
        Ok(true)
    }

    fn store(&mut self, samples: &[f32]) -> Result<(), Fault> {
        let _measuring = stage!("loudness").entered();
        // Float decoders hand on whatever the data says: a NaN would poison every filter behind, and LAME aborts over what
        // is near the largest float. NaN is within no bounds.
        let is_sound = |sample: &f32| sample.abs() <= LOUDEST;
        if samples.iter().all(is_sound) {
            self.meter.push(samples)?;
            self.spool.push(samples).map_err(scratch)?;
        } else {
            let clean: Vec<f32> = samples.iter().map(|s| if is_sound(s) { *s } else { 0.0 }).collect();
            self.meter.push(&clean)?;
            self.spool.push(&clean).map_err(scratch)?;
        }
        if self.spool.len() / u64::from(self.channels) > self.max_frames {
            let text = format!("more than {} s of sound", self.max_frames / u64::from(self.rate));
            return Err(Fault::rejected(Code::LimitDuration, text));
        }
        Ok(())
    }

    /// Keeps the samples on the timeline: silence into gaps. Returns how many interleaved samples to leave out.
    fn align(&mut self, frame: &ff::frame::Audio) -> Result<usize, Fault> {
        let Some(timeline) = &mut self.timeline else { return Ok(0) };
        let length_ns = i64::try_from(frame.samples()).unwrap_or(0) * SECOND_NS / i64::from(frame.rate().max(1));
        let start_ns = frame
            .timestamp()
            .map(|pts| av::rescale(pts, self.time_base, ff::Rational::new(1, 1_000_000_000)))
            .map_or(timeline.next_ns, |ns| ns - timeline.offset_ms * 1_000_000);
        let gap_ns = start_ns - timeline.next_ns;
        // The start is laid exactly; later on only what is heard is mended, or jitter would be.
        if gap_ns.abs() <= GAP_NS && timeline.next_ns != 0 {
            timeline.next_ns += length_ns;
            return Ok(0);
        }
        let skip_ns = (-gap_ns).clamp(0, length_ns);
        timeline.next_ns += gap_ns.max(0) + length_ns - skip_ns;
        let interleaved = |ns: i64| samples_in(ns, self.rate) * u64::from(self.channels);
        let (silence, skip) = (interleaved(gap_ns.max(0)), interleaved(skip_ns));
        self.silence(silence)?;
        Ok(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// Silence for as long as a packet that gave no sound: what follows is heard at its own time.
    fn conceal(&mut self, packet: &ff::Packet) -> Result<(), Fault> {
        let ns = av::rescale(packet.duration(), self.time_base, ff::Rational::new(1, 1_000_000_000));
        let ns = ns.clamp(0, SECOND_NS);
        if let Some(timeline) = &mut self.timeline {
            timeline.next_ns += ns;
        }
        self.silence(samples_in(ns, self.rate) * u64::from(self.channels))
    }

    fn silence(&mut self, samples: u64) -> Result<(), Fault> {
        let silence = [0.0; 4096];
        let whole = 4096 - 4096 % self.channels as usize;
        let mut left = samples;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(whole).min(whole);
            self.store(&silence[..count])?;
            left -= count as u64;
        }
        Ok(())
    }
}

/// Whether a packet of AMR says that nobody speaks (3GPP TS 26.101 and 26.201, table 1a). A phone sends these for every
/// pause; libav's decoders do not know them.
fn is_pause(codec: &str, data: Option<&[u8]>) -> bool {
    let Some(first) = data.and_then(|data| data.first()) else { return false };
    let frame_type = first >> 3 & 0xf;
    match codec {
        "amr_nb" => matches!(frame_type, 8..=11 | 15),
        "amr_wb" => matches!(frame_type, 9 | 14 | 15),
        _ => false,
    }
}

fn samples_in(ns: i64, rate: u32) -> u64 {
    u64::try_from(i128::from(ns) * i128::from(rate) / i128::from(SECOND_NS)).unwrap_or(0)
}

fn frames_to_ms(frames: u64, rate: u32) -> u64 {
    (frames * 1000 + u64::from(rate) / 2) / u64::from(rate)
}

impl Sound {
    /// Samples in each channel.
    pub(super) fn frames(&self) -> u64 {
        self.spool.len() / u64::from(self.channels)
    }

    /// Length as decoded.
    pub(super) fn duration_ms(&self) -> u64 {
        frames_to_ms(self.frames(), self.rate)
    }

    /// Encodes what was kept, with the gain that was found, and measures the peaks of the result on the way.
    ///
    /// # Errors
    /// Where the encoder is missing or the scratch directory full.
    pub(super) fn encode(
        &mut self,
        settings: &AudioSettings,
        mut peaks: Option<&mut PeakMeter>,
    ) -> Result<(AudioEncoder, PacketSpool), Fault> {
        let _encoding = stage!("encode").entered();
        let mut encoder = AudioEncoder::open(settings).map_err(av::writing("opening the audio encoder"))?;
        let mut packets = PacketSpool::new("audio.part");
        let gain = loudness::factor(self.loudness.gain_db);
        let size = encoder.frame_size() * self.channels as usize;
        let mut keep = |packet: ff::Packet| packets.push(&packet).map_err(Trouble::from);
        let encoded: Result<(), Trouble> = self.spool.read(size, &mut |samples| {
            if let Some(peaks) = peaks.as_deref_mut() {
                stage!("waveform").in_scope(|| peaks.push(samples, gain));
            }
            encoder.push(samples, gain, &mut keep)
        });
        encoded
            .and_then(|()| encoder.push(&[], 1.0, &mut keep))
            .map_err(|trouble| trouble.into_fault("encoding the sound"))?;
        Ok((encoder, packets))
    }

    /// Measures peaks alone, where nothing is encoded.
    ///
    /// # Errors
    /// Those of the scratch directory.
    pub(super) fn measure(&mut self, peaks: &mut PeakMeter) -> Result<(), Fault> {
        self.each_piece(&mut |samples| {
            peaks.push(samples, 1.0);
            Ok(())
        })
    }

    /// Hands on what was kept, interleaved.
    ///
    /// # Errors
    /// Those of the scratch directory, and of `on_piece`.
    pub(super) fn each_piece(
        &mut self,
        on_piece: &mut dyn FnMut(&[f32]) -> Result<(), std::io::Error>,
    ) -> Result<(), Fault> {
        self.spool.read(4096 * self.channels as usize, on_piece).map_err(scratch)
    }
}
