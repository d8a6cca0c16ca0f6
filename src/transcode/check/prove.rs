//! Reads each output again: an output that cannot be read is not published.

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::plan::{Output, Plan};
use crate::transcode::av::{self, Decoder, Input};

/// What the output has to be.
pub(in crate::transcode) struct Expectation<'a> {
    /// File in the scratch directory.
    pub(in crate::transcode) file: &'a str,
    /// Streams, codecs and sizes.
    pub(in crate::transcode) plan: &'a Plan,
    /// Length of what was decoded or copied.
    pub(in crate::transcode) duration_ms: u64,
    /// Of one frame.
    pub(in crate::transcode) frame_ms: u64,
}

#[cfg(test)]
thread_local! {
    /// Name of a file that does not pass in this thread, whatever is in it.
    pub(in crate::transcode) static UNPROVEN: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
}

/// What may be added to one frame as a difference in length.
const TOLERANCE_MS: u64 = 50;

/// Reads the output back: streams, length, index in front, every packet, and some of it decoded.
///
/// # Errors
/// [`Code::MediaProofFailed`] with what was wrong.
pub(in crate::transcode) fn prove(expected: &Expectation<'_>) -> Result<(), Fault> {
    let _proving = stage!("prove").entered();
    let failed = |text: String| Fault::rejected(Code::MediaProofFailed, text);
    #[cfg(test)]
    if UNPROVEN.get() == expected.file {
        return Err(failed("a test has it so".to_owned()));
    }
    let demuxer = if expected.plan.output == Output::Mp3 { "mp3" } else { "mov" };
    let mut input = Input::open(expected.file, demuxer, &["h264", "aac", "mp3"])
        .map_err(|error| failed(format!("the output cannot be opened: {error}")))?;
    let wanted = usize::from(expected.plan.video.is_some()) + usize::from(expected.plan.audio.is_some());
    if input.stream_count() != wanted {
        return Err(failed(format!("the output has {} streams instead of {wanted}", input.stream_count())));
    }
    if expected.plan.output == Output::Mp4 && !moov_comes_first(expected.file) {
        return Err(failed("the index is not in front".to_owned()));
    }
    let read = read_all(&mut input, expected.plan.output != Output::Mp3).map_err(failed)?;
    let allowed = expected.frame_ms + TOLERANCE_MS;
    if read.duration_ms.abs_diff(expected.duration_ms) > allowed {
        let text = format!("the output lasts {} ms instead of {} ms", read.duration_ms, expected.duration_ms);
        return Err(failed(text));
    }
    Ok(())
}

struct Read {
    duration_ms: u64,
}

/// Reads every packet; decodes the sound, and of the picture the first, middle and last keyframe.
///
/// In a `timed` container the end is where the timestamps say: a copied sound may have gaps. An MP3 has no others than
/// those that its samples make.
fn read_all(input: &mut Input, timed: bool) -> Result<Read, String> {
    let mut readers = Vec::new();
    for stream in input.streams() {
        readers.push(StreamReader::open(&stream, timed)?);
    }
    let mut packet = ff::Packet::empty();
    loop {
        match input.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(format!("the output breaks off: {error}")),
        }
        if let Some(reader) = readers.get_mut(packet.stream()) {
            reader.take(&packet)?;
        }
    }
    let mut duration_ms = 0;
    for reader in readers {
        duration_ms = duration_ms.max(reader.finish()?);
    }
    Ok(Read { duration_ms })
}

enum StreamReader {
    Sound { decoder: Decoder<ff::frame::Audio>, rate: u64, samples: u64, timed: Option<ff::Rational>, end: i64 },
    Picture { decoder: Decoder<ff::frame::Video>, keyframes: Vec<ff::Packet>, time_base: ff::Rational, end: i64 },
}

impl StreamReader {
    fn open(stream: &av::StreamView<'_>, timed: bool) -> Result<Self, String> {
        let bad = |error: ff::Error| format!("the output's {} cannot be decoded: {error}", stream.codec_name());
        if stream.kind() == av::StreamType::Audio {
            let decoder = Decoder::open(stream, 1, u64::MAX).map_err(bad)?;
            let (rate, timed) = (u64::from(stream.sample_rate()), timed.then(|| stream.time_base()));
            return Ok(Self::Sound { decoder, rate, samples: 0, timed, end: 0 });
        }
        let decoder = Decoder::open(stream, 1, u64::MAX).map_err(bad)?;
        Ok(Self::Picture { decoder, keyframes: Vec::new(), time_base: stream.time_base(), end: 0 })
    }

    fn take(&mut self, packet: &ff::Packet) -> Result<(), String> {
        match self {
            Self::Sound { decoder, samples, end, .. } => {
                *end = (*end).max(packet.pts().unwrap_or(0).saturating_add(packet.duration()));
                decode_sound(decoder, Some(packet), samples)
            }
            Self::Picture { keyframes, end, .. } => {
                *end = (*end).max(packet.pts().unwrap_or(0).saturating_add(packet.duration()));
                if packet.is_key() {
                    keep_some(keyframes, packet);
                }
                Ok(())
            }
        }
    }

    /// Length in ms.
    fn finish(self) -> Result<u64, String> {
        match self {
            Self::Sound { mut decoder, rate, mut samples, timed, end } => {
                decode_sound(&mut decoder, None, &mut samples)?;
                if decoder.bad > 0 || samples == 0 {
                    return Err(format!("{} of {} packets of sound cannot be decoded", decoder.bad, decoder.packets));
                }
                let by_samples = samples * 1000 / rate.max(1);
                Ok(timed.map_or(by_samples, |time_base| u64::try_from(av::to_ms(end, time_base)).unwrap_or(0)))
            }
            Self::Picture { mut decoder, keyframes, time_base, end } => {
                let Some(last) = keyframes.len().checked_sub(1) else {
                    return Err("the output's picture has no keyframe".to_owned());
                };
                for n in std::collections::BTreeSet::from([0, last / 2, last]) {
                    decode_keyframe(&mut decoder, &keyframes[n])?;
                }
                Ok(u64::try_from(av::to_ms(end, time_base)).unwrap_or(0))
            }
        }
    }
}

fn decode_sound(
    decoder: &mut Decoder<ff::frame::Audio>,
    packet: Option<&ff::Packet>,
    samples: &mut u64,
) -> Result<(), String> {
    let counted = decoder.push(packet, &mut |frame| {
        *samples += frame.samples() as u64;
        Ok(())
    });
    counted.map_err(|fault| fault.to_string())
}

/// Decodes it, also where an edit list hides it: then it is what the frames behind it need.
fn decode_keyframe(decoder: &mut Decoder<ff::frame::Video>, packet: &ff::Packet) -> Result<(), String> {
    let mut frames = 0;
    let mut count = |_: &mut ff::frame::Video| {
        frames += 1;
        Ok(())
    };
    let mut packet = packet.clone();
    packet.set_flags(ff::packet::Flags::KEY);
    decoder.push(Some(&packet), &mut count).and_then(|()| decoder.push(None, &mut count)).map_err(|f| f.to_string())?;
    decoder.flush();
    if frames == 0 || decoder.bad > 0 { Err("a keyframe of the output cannot be decoded".to_owned()) } else { Ok(()) }
}

/// Keeps the first, some in between, and the last: the list is thinned as it grows.
fn keep_some(keyframes: &mut Vec<ff::Packet>, packet: &ff::Packet) {
    const MOST: usize = 16;
    if keyframes.len() == MOST {
        let mut n = 0;
        keyframes.retain(|_| {
            n += 1;
            n % 2 == 1
        });
    }
    // Only the packet's reference is kept, not a copy of its bytes.
    keyframes.push(packet.clone());
}

fn moov_comes_first(path: &str) -> bool {
    std::fs::File::open(path)
        .and_then(|mut file| crate::transcode::read::iso::iso_layout(&mut file))
        .is_ok_and(|l| l.moov_first)
}
