//! The first pass over a sound decodes, resamples, measures and stores it. The second pass, over the stored samples or
//! over the file again if they were too many, applies the gain, encodes, and collects peaks.

use ffmpeg_next as ff;

use super::clock::{Clock, Timeline};
use super::loudness::{self, Meter};
use super::packets::each_packet;
use super::spool::Spool;
use crate::error::{Code, Fault};
use crate::plan::Container;
use crate::profile::LoudnessTarget;
use crate::transcode::av::{self, AudioEncoder, Decoder, Input, Mix, Resampler};
use crate::transcode::draw::waveform::PeakMeter;
use crate::transcode::job::Trouble;
use crate::transcode::read::probe;
use crate::vocabulary::{Damage, Loudness};

const SECOND_NS: i64 = 1_000_000_000;
/// 60 dB above full scale: no real recording is louder.
const LOUDEST: f32 = 1000.0;
/// Whole frames of one or two channels.
static SILENCE: [f32; 4096] = [0.0; 4096];

/// Which sound is decoded, and to which format. Decoding it again with the same source gives the same samples.
#[derive(Debug, Clone)]
pub(in crate::transcode) struct SoundSource {
    /// File in the scratch directory.
    pub(in crate::transcode) path: &'static str,
    /// Its container.
    pub(in crate::transcode) container: Container,
    /// Index of the stream.
    pub(in crate::transcode) index: usize,
    /// The streams to read, if not all are needed. A clock that restarts is recognised by the packets of all of them.
    pub(in crate::transcode) read: Option<Vec<usize>>,
    /// Sample rate in Hz to decode to.
    pub(in crate::transcode) rate: u32,
    /// Channels to decode to, 1 or 2.
    pub(in crate::transcode) channels: u32,
    /// What decides when samples are heard.
    pub(in crate::transcode) clock: Clock,
    /// Which of its channels are used.
    pub(in crate::transcode) mix: Mix,
    /// Longest sound in s.
    pub(in crate::transcode) max_duration_s: u64,
    /// Decoding ends after this time, if only the beginning is needed.
    pub(in crate::transcode) until_ms: Option<u64>,
}

/// Decodes one stream.
pub(in crate::transcode) struct SoundReader<'a> {
    decoder: Decoder<ff::frame::Audio>,
    keeper: Keeper<'a>,
    codec: String,
    source: SoundSource,
}

/// The steps behind the decoder.
struct Keeper<'a> {
    resampler: Resampler,
    pass: Pass<'a>,
    rate: u32,
    channels: u32,
    time_base: ff::Rational,
    timeline: Option<Timeline>,
    /// Samples so far, counted over all channels.
    samples: u64,
    max_frames: u64,
}

/// What happens to the samples.
enum Pass<'a> {
    /// First pass: they are measured, and stored unless they are too many.
    First { meter: Box<Meter>, spool: Spool },
    /// Second pass: they are passed on in pieces of `size`. Samples that do not fill a piece wait.
    Second { waiting: Vec<f32>, size: usize, on_piece: &'a mut OnPiece<'a> },
}

/// Takes interleaved samples.
type OnPiece<'a> = dyn FnMut(&[f32]) -> Result<(), Fault> + 'a;

/// A decoded sound.
pub(in crate::transcode) struct Sound {
    spool: Spool,
    source: SoundSource,
    pub(in crate::transcode) loudness: Loudness,
    pub(in crate::transcode) rate: u32,
    pub(in crate::transcode) channels: u32,
    pub(in crate::transcode) packets: u64,
    pub(in crate::transcode) bad_packets: u64,
    /// The channel to decode alone, if two channels were mixed into one and cancelled each other.
    pub(in crate::transcode) opposed: Option<usize>,
}

impl<'a> SoundReader<'a> {
    /// A reader for one stream of an open input.
    ///
    /// # Errors
    /// If the stream does not exist, or the decoder does not accept it.
    pub(in crate::transcode) fn open(input: &Input, source: SoundSource) -> Result<Self, Fault> {
        let meter = Box::new(Meter::new(source.channels, source.rate));
        Self::open_for(input, source, Pass::First { meter, spool: Spool::default() })
    }

    fn open_for(input: &Input, source: SoundSource, pass: Pass<'a>) -> Result<Self, Fault> {
        let missing = || Fault::broken(Code::WorkerBroken, "the planned sound is not in the file");
        let stream = input.stream(source.index).ok_or_else(missing)?;
        let decoder = Decoder::open(&stream, 1, u64::MAX).map_err(av::reading("opening the audio decoder"))?;
        let keeper = Keeper {
            resampler: Resampler::new(source.rate, source.channels, source.mix),
            pass,
            rate: source.rate,
            channels: source.channels,
            time_base: stream.time_base(),
            timeline: Timeline::new(source.clock),
            samples: 0,
            max_frames: source.max_duration_s.saturating_mul(u64::from(source.rate)),
        };
        Ok(Self { decoder, keeper, codec: stream.codec_name(), source })
    }

    /// Feeds a packet, or the end of the stream with `None`.
    ///
    /// # Errors
    /// A limit, or a failure of this machine. Damaged data is counted.
    pub(in crate::transcode) fn push(&mut self, packet: Option<&ff::Packet>) -> Result<(), Fault> {
        let _decoding = stage!("decode").entered();
        if packet.is_some() && self.source.until_ms.is_some_and(|until_ms| self.duration_ms() >= until_ms) {
            return Ok(());
        }
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

    /// Length so far in ms.
    pub(in crate::transcode) fn duration_ms(&self) -> u64 {
        frames_to_ms(self.keeper.samples / u64::from(self.keeper.channels), self.keeper.rate)
    }

    /// Drains decoder and filter, and finishes the measurement.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub(in crate::transcode) fn finish(mut self, target: Option<LoudnessTarget>) -> Result<Sound, Fault> {
        self.drain()?;
        let Pass::First { meter, spool } = self.keeper.pass else {
            return Err(Fault::broken(Code::WorkerBroken, "a second pass over a sound has no measurement"));
        };
        Ok(Sound {
            loudness: meter.finish(target),
            spool,
            rate: self.keeper.rate,
            channels: self.keeper.channels,
            packets: self.decoder.packets,
            bad_packets: self.decoder.bad,
            opposed: self.keeper.resampler.opposed(),
            source: self.source,
        })
    }

    /// Drains what decoder and filter still have after the last packet.
    fn drain(&mut self) -> Result<(), Fault> {
        self.push(None)?;
        let mut tail = Vec::new();
        let resampler = &mut self.keeper.resampler;
        resampler.finish(&mut |samples| tail.extend_from_slice(samples)).map_err(av::reading("resampling"))?;
        self.keeper.store(&tail)
    }
}

impl Keeper<'_> {
    /// Converts a frame; `false` if its format cannot be used.
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
        // The converted samples lag by the filter's delay, which nobody notices.
        let skip = skip.min(converted.len());
        self.store(&converted[skip..])?;
        Ok(true)
    }

    fn store(&mut self, samples: &[f32]) -> Result<(), Fault> {
        let _measuring = stage!("loudness").entered();
        // Float decoders return whatever the data says. A NaN would spoil every later filter, and LAME aborts on values
        // near the largest float. NaN fails this comparison as well.
        let is_sound = |sample: &f32| sample.abs() <= LOUDEST;
        // Not `all`, which would look at one sample after the other to stop at the first.
        if samples.iter().fold(true, |all, sample| all & is_sound(sample)) {
            self.pass.take(samples)?;
        } else {
            let clean: Vec<f32> = samples.iter().map(|s| if is_sound(s) { *s } else { 0.0 }).collect();
            self.pass.take(&clean)?;
        }
        self.samples += samples.len() as u64;
        if self.samples / u64::from(self.channels) > self.max_frames {
            let text =
                format!("the sound is longer than limits.duration_s ({})", self.max_frames / u64::from(self.rate));
            return Err(Fault::rejected(Code::LimitDuration, text));
        }
        Ok(())
    }

    /// Keeps samples in step with the timeline by inserting silence into gaps. Returns how many interleaved samples to
    /// leave out.
    fn align(&mut self, frame: &ff::frame::Audio) -> Result<usize, Fault> {
        let Some(timeline) = &mut self.timeline else { return Ok(0) };
        let length_ns = i64::try_from(frame.samples()).unwrap_or(0) * SECOND_NS / i64::from(frame.rate().max(1));
        let stamp_ns =
            frame.timestamp().map(|pts| av::rescale(pts, self.time_base, ff::Rational::new(1, 1_000_000_000)));
        let room = self.max_frames.saturating_sub(self.samples / u64::from(self.channels));
        let room_ns = i64::try_from(room / u64::from(self.rate)).unwrap_or(i64::MAX).saturating_mul(SECOND_NS);
        let (silence_ns, skip_ns) = timeline.place(stamp_ns, length_ns, room_ns);
        let interleaved = |ns: i64| samples_in(ns, self.rate) * u64::from(self.channels);
        let (silence, skip) = (interleaved(silence_ns), interleaved(skip_ns));
        self.silence(silence)?;
        Ok(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// Inserts silence with the length of a packet that could not be decoded, so that later samples keep their time.
    fn conceal(&mut self, packet: &ff::Packet) -> Result<(), Fault> {
        let ns = av::rescale(packet.duration(), self.time_base, ff::Rational::new(1, 1_000_000_000));
        let ns = ns.clamp(0, SECOND_NS);
        if let Some(timeline) = &mut self.timeline {
            timeline.conceal(ns);
        }
        self.silence(samples_in(ns, self.rate) * u64::from(self.channels))
    }

    fn silence(&mut self, samples: u64) -> Result<(), Fault> {
        let mut left = usize::try_from(samples).unwrap_or(usize::MAX);
        while left > 0 {
            let count = left.min(SILENCE.len());
            self.store(&SILENCE[..count])?;
            left -= count;
        }
        Ok(())
    }
}

impl Pass<'_> {
    fn take(&mut self, samples: &[f32]) -> Result<(), Fault> {
        match self {
            Self::First { meter, spool } => {
                meter.push(samples);
                spool.push(samples);
                Ok(())
            }
            Self::Second { waiting, size, on_piece } => {
                waiting.extend_from_slice(samples);
                let whole = waiting.len() - waiting.len() % *size;
                for piece in waiting[..whole].chunks(*size) {
                    on_piece(piece)?;
                }
                waiting.drain(..whole);
                Ok(())
            }
        }
    }

    /// Passes on the last samples, which do not fill a piece.
    fn end(self) -> Result<(), Fault> {
        match self {
            Self::Second { waiting, on_piece, .. } if !waiting.is_empty() => on_piece(&waiting),
            Self::First { .. } | Self::Second { .. } => Ok(()),
        }
    }
}

/// Whether an AMR packet marks silence (3GPP TS 26.101 and 26.201, table 1a). Phones send these in every pause, and
/// libav's decoders do not support them.
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
    pub(in crate::transcode) fn frames(&self) -> u64 {
        self.spool.len() / u64::from(self.channels)
    }

    /// The number of the only channel that was used, if others were left out.
    pub(in crate::transcode) fn taken_channel(&self) -> Option<usize> {
        match self.source.mix {
            Mix::All => None,
            Mix::Only(channel) => Some(channel),
        }
    }

    /// Length as decoded, in ms.
    pub(in crate::transcode) fn duration_ms(&self) -> u64 {
        frames_to_ms(self.frames(), self.rate)
    }

    /// Encodes the sound with the gain that was found, and collects the peaks of the result.
    ///
    /// # Errors
    /// Those of the encoder, of `on_packet`, and of decoding again.
    pub(in crate::transcode) fn encode(
        &self,
        encoder: &mut AudioEncoder,
        mut peaks: Option<&mut PeakMeter>,
        on_packet: &mut dyn FnMut(ff::Packet) -> Result<(), Trouble>,
    ) -> Result<(), Fault> {
        let _encoding = stage!("encode").entered();
        let gain = loudness::factor(self.loudness.gain_db);
        let size = encoder.frame_size() * self.channels as usize;
        let failed = |trouble: Trouble| trouble.into_fault("encoding the sound");
        self.each_piece(size, &mut |samples| {
            if let Some(peaks) = peaks.as_deref_mut() {
                stage!("waveform").in_scope(|| peaks.push(samples, gain));
            }
            encoder.push(samples, gain, on_packet).map_err(failed)
        })?;
        encoder.push(&[], 1.0, on_packet).map_err(failed)
    }

    /// Collects only peaks, if nothing is encoded.
    ///
    /// # Errors
    /// Those of decoding again.
    pub(in crate::transcode) fn measure(&self, peaks: &mut PeakMeter) -> Result<(), Fault> {
        self.each_piece(4096 * self.channels as usize, &mut |samples| {
            peaks.push(samples, 1.0);
            Ok(())
        })
    }

    /// Passes on all samples in order, in pieces of `size`; the last one may be shorter.
    ///
    /// # Errors
    /// Those of `on_piece`, and of decoding again.
    pub(in crate::transcode) fn each_piece(&self, size: usize, on_piece: &mut OnPiece<'_>) -> Result<(), Fault> {
        let Some(samples) = self.spool.samples() else { return self.decode_again(size, on_piece) };
        for piece in samples.chunks(size) {
            on_piece(piece)?;
        }
        Ok(())
    }

    /// Decodes a sound again that was too long to be stored. Its damage was already counted.
    fn decode_again(&self, size: usize, on_piece: &mut OnPiece<'_>) -> Result<(), Fault> {
        let source = &self.source;
        let mut input = probe::open(source.path, source.container)?;
        let pass = Pass::Second { waiting: Vec::new(), size, on_piece };
        let mut reader = SoundReader::open_for(&input, source.clone(), pass)?;
        if let Some(read) = &source.read {
            input.keep_only(read);
        }
        each_packet(&mut input, &mut Damage::default(), &mut |_, packet| {
            if packet.stream() == source.index { reader.push(Some(packet)) } else { Ok(()) }
        })?;
        reader.drain()?;
        let (again, before) = (reader.keeper.samples, self.spool.len());
        reader.keeper.pass.end()?;
        if again != before {
            let text = format!("the second decoding gives {again} samples instead of {before}");
            return Err(Fault::broken(Code::WorkerBroken, text));
        }
        Ok(())
    }
}
