//! Reads each output back. An output that cannot be read is not published.

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::plan::{Output, Plan};
use crate::transcode::av::{self, Decoder, Input};

/// What the output must be like.
pub(in crate::transcode) struct Expectation<'a> {
    /// File in the scratch directory.
    pub(in crate::transcode) file: &'a str,
    /// Streams, codecs and sizes.
    pub(in crate::transcode) plan: &'a Plan,
    /// Length of what was decoded or copied, in ms.
    pub(in crate::transcode) duration_ms: u64,
    /// Duration of one frame, in ms.
    pub(in crate::transcode) frame_ms: u64,
    /// How many pictures it has to show, if it has any.
    pub(in crate::transcode) pictures: Option<u64>,
}

#[cfg(test)]
thread_local! {
    /// Name of a file that always fails its check in this thread.
    pub(in crate::transcode) static UNPROVEN: std::cell::Cell<&'static str> = const { std::cell::Cell::new("") };
}

/// Allowed difference in length in addition to one frame.
const TOLERANCE_MS: u64 = 50;

/// Reads the output back: streams, length, number of pictures, index at the front, and every packet; decodes a part of
/// it.
///
/// # Errors
/// [`Code::MediaProofFailed`] with the reason.
pub(in crate::transcode) fn prove(expected: &Expectation<'_>) -> Result<(), Fault> {
    let _proving = stage!("prove").entered();
    let failed = |text: String| Fault::rejected(Code::MediaProofFailed, text);
    #[cfg(test)]
    if UNPROVEN.get() == expected.file {
        return Err(failed("a test makes this file fail".to_owned()));
    }
    let demuxer = match expected.plan.output {
        Output::Mp3 => "mp3",
        Output::Ogg => "ogg",
        Output::M4a | Output::Mp4 | Output::Nothing => "mov",
    };
    let mut input = Input::open(expected.file, demuxer, &["h264", "aac", "mp3", "opus"])
        .map_err(|error| failed(format!("the output cannot be opened: {error}")))?;
    let wanted = usize::from(expected.plan.video.is_some()) + usize::from(expected.plan.audio.is_some());
    if input.stream_count() != wanted {
        return Err(failed(format!("the output has {} streams instead of {wanted}", input.stream_count())));
    }
    if expected.plan.output == Output::Mp4 && !moov_comes_first(expected.file) {
        return Err(failed("the output's index is not at the front".to_owned()));
    }
    let copied = expected.plan.video.as_ref().is_some_and(|track| track.settings().is_none());
    let run = if copied { COPIED_RUN } else { ENCODED_RUN };
    let read = read_all(&mut input, expected.plan.output != Output::Mp3, run).map_err(failed)?;
    let allowed = expected.frame_ms + TOLERANCE_MS;
    if read.duration_ms.abs_diff(expected.duration_ms) > allowed {
        let text = format!("the output lasts {} ms instead of {} ms", read.duration_ms, expected.duration_ms);
        return Err(failed(text));
    }
    // A picture more would be one that the sender cut out.
    if let Some(wanted) = expected.pictures.filter(|wanted| *wanted != read.pictures) {
        return Err(failed(format!("the output shows {} pictures instead of {wanted}", read.pictures)));
    }
    Ok(())
}

struct Read {
    duration_ms: u64,
    /// Pictures that players show.
    pictures: u64,
}

/// How many packets are decoded after a keyframe: of a copied picture enough to notice a broken stream, of a picture
/// that was encoded here only the keyframe.
const COPIED_RUN: usize = 12;
const ENCODED_RUN: usize = 1;

/// Reads every packet. Decodes the whole sound, and of the picture a run of `run` packets at the start, at the end, and
/// in between at growing distances.
///
/// In a `timed` container the end is given by timestamps, because a copied sound may have gaps. An MP3 has no times but
/// those of its samples.
fn read_all(input: &mut Input, timed: bool, run: usize) -> Result<Read, String> {
    let mut readers = Vec::new();
    for stream in input.streams() {
        readers.push(StreamReader::open(&stream, timed, run)?);
    }
    let mut packet = ff::Packet::empty();
    loop {
        match input.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(format!("the output cannot be read to its end: {error}")),
        }
        if let Some(reader) = readers.get_mut(packet.stream()) {
            reader.take(&packet)?;
        }
    }
    let (mut duration_ms, mut pictures) = (0, 0);
    for reader in readers {
        if let StreamReader::Picture(picture) = &reader {
            pictures += picture.shown;
        }
        duration_ms = duration_ms.max(reader.finish()?);
    }
    Ok(Read { duration_ms, pictures })
}

enum StreamReader {
    Sound { decoder: Decoder<ff::frame::Audio>, rate: u64, samples: u64, timed: Option<ff::Rational>, end: i64 },
    Picture(Box<PictureReader>),
}

impl StreamReader {
    fn open(stream: &av::StreamView<'_>, timed: bool, run: usize) -> Result<Self, String> {
        let bad = |error: ff::Error| format!("the output's {} cannot be decoded: {error}", stream.codec_name());
        if stream.kind() == av::StreamType::Audio {
            let decoder = Decoder::open(stream, 1, u64::MAX).map_err(bad)?;
            let (rate, timed) = (u64::from(stream.sample_rate()), timed.then(|| stream.time_base()));
            return Ok(Self::Sound { decoder, rate, samples: 0, timed, end: 0 });
        }
        Ok(Self::Picture(Box::new(PictureReader::open(stream, run).map_err(bad)?)))
    }

    fn take(&mut self, packet: &ff::Packet) -> Result<(), String> {
        match self {
            Self::Sound { decoder, samples, end, .. } => {
                *end = (*end).max(packet.pts().unwrap_or(0).saturating_add(packet.duration()));
                decode_sound(decoder, Some(packet), samples)
            }
            Self::Picture(picture) => picture.take(packet),
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
            Self::Picture(picture) => picture.finish(),
        }
    }
}

struct PictureReader {
    decoder: Decoder<ff::frame::Video>,
    time_base: ff::Rational,
    /// End of the last packet, or the container's end of the stream if that is later: nothing else says how long the
    /// last picture is shown.
    end: i64,
    /// Packets that no edit list hides.
    shown: u64,
    /// Packets in one run.
    run: usize,
    /// Time of the keyframe that began the run, and how many packets it still has.
    running: Option<(i64, usize)>,
    frames: u64,
    concealed: u64,
    /// Time from which on the next run may begin.
    next_ms: i64,
    /// The last keyframe, if no run began with it.
    last: Option<ff::Packet>,
    keyframes: u64,
}

/// Least time between runs in ms.
const BETWEEN_RUNS_MS: i64 = 2000;

impl PictureReader {
    fn open(stream: &av::StreamView<'_>, run: usize) -> Result<Self, ff::Error> {
        let declared = stream.duration().map_or(0, |duration| stream.start().unwrap_or(0).saturating_add(duration));
        Ok(Self {
            decoder: Decoder::open(stream, 1, u64::MAX)?,
            time_base: stream.time_base(),
            end: declared,
            shown: 0,
            run,
            running: None,
            frames: 0,
            concealed: 0,
            next_ms: i64::MIN,
            last: None,
            keyframes: 0,
        })
    }

    fn take(&mut self, packet: &ff::Packet) -> Result<(), String> {
        let pts = packet.pts().unwrap_or(0);
        self.shown += u64::from(packet.size() > 0 && !av::is_hidden(packet));
        self.end = self.end.max(pts.saturating_add(packet.duration()));
        if packet.is_key() {
            self.keyframes += 1;
            let ms = av::to_ms(pts, self.time_base);
            if self.running.is_none() && ms >= self.next_ms {
                self.next_ms = ms.saturating_add((ms / 8).max(BETWEEN_RUNS_MS));
                (self.running, self.last) = (Some((pts, self.run)), None);
            } else {
                // This keeps a reference to the packet, not a copy of its data.
                self.last = Some(packet.clone());
            }
        }
        let Some((from, left)) = self.running else { return Ok(()) };
        // A picture shown before the keyframe may need one that was not decoded.
        if pts >= from {
            self.decode(Some(packet))?;
            self.running = Some((from, left - 1));
            if left == 1 {
                return self.end_run();
            }
        }
        Ok(())
    }

    /// Decodes a packet, even if an edit list hides it, because pictures behind it need it.
    fn decode(&mut self, packet: Option<&ff::Packet>) -> Result<(), String> {
        let (frames, concealed) = (&mut self.frames, &mut self.concealed);
        let mut count = |frame: &mut ff::frame::Video| {
            *frames += 1;
            *concealed += u64::from(av::is_concealed(frame));
            Ok(())
        };
        let shown = packet.map(|packet| {
            let mut packet = packet.clone();
            packet.set_flags(if packet.is_key() { ff::packet::Flags::KEY } else { ff::packet::Flags::empty() });
            packet
        });
        self.decoder.push(shown.as_ref(), &mut count).map_err(|fault| fault.to_string())
    }

    fn end_run(&mut self) -> Result<(), String> {
        self.decode(None)?;
        self.decoder.flush();
        self.running = None;
        if self.frames == 0 || self.decoder.bad > 0 || self.concealed > 0 {
            return Err("a part of the output's picture cannot be decoded".to_owned());
        }
        self.frames = 0;
        Ok(())
    }

    /// Length in ms.
    fn finish(mut self) -> Result<u64, String> {
        if self.keyframes == 0 {
            return Err("the output's picture has no keyframe".to_owned());
        }
        if self.running.is_some() {
            self.end_run()?;
        }
        if let Some(last) = self.last.take() {
            self.decode(Some(&last))?;
            self.end_run()?;
        }
        Ok(u64::try_from(av::to_ms(self.end, self.time_base)).unwrap_or(0))
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

fn moov_comes_first(path: &str) -> bool {
    std::fs::File::open(path)
        .and_then(|mut file| crate::transcode::read::iso::iso_layout(&mut file))
        .is_ok_and(|l| l.moov_first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profiles;
    use crate::plan::{Container, plan};
    use crate::profile::Profile;
    use crate::task::Limits;
    use crate::transcode::read::probe;

    #[test]
    fn an_output_that_shows_a_picture_more_or_less_is_noticed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/conforming.mp4");
        let profiles = Profiles::load(std::path::Path::new("")).expect("profiles");
        let profile = Profile::from_raw(&profiles.get("crm").expect("crm").raw).expect("a good profile");
        let limits = Limits {
            input_bytes: 1 << 30,
            pixels: 1 << 26,
            duration_s: 3600,
            streams: 32,
            wall_s: 60,
            cpu_s: 60,
            memory_bytes: 1 << 30,
            output_bytes: 1 << 30,
            scratch_bytes: 1 << 30,
        };
        let input = probe::open(file, Container::Mp4).expect("an input");
        let mut opened = std::fs::File::open(file).expect("a file");
        let facts = probe::facts(&input, Container::Mp4, &mut opened, &limits).expect("facts");
        let count = facts.main_video().and_then(|(stream, _)| stream.samples).expect("an index");
        let (plan, duration_ms) = (plan(&facts, &profile), facts.duration_ms.expect("a length"));
        let proven = |pictures| {
            let frame_ms = facts.frame_ms();
            prove(&Expectation { file, plan: &plan, duration_ms, frame_ms, pictures })
                .map_err(|fault| fault.to_string())
        };
        assert_eq!((proven(Some(count)), proven(None)), (Ok(()), Ok(())));
        for wrong in [count - 1, count + 1] {
            let why = proven(Some(wrong)).expect_err("another number of pictures");
            assert!(why.contains(&format!("{count} pictures instead of {wrong}")), "{why}");
        }
    }
}
