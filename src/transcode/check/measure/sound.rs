//! Converts both sounds to the input format of ViSQOL, and measures their loudness.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::{COMPARED_MS, Side};
use crate::error::Fault;
use crate::plan::Plan;
use crate::task::{INPUT, PCM_OF_INPUT, PCM_OF_PLAYBACK, PCM_RATE_HZ, PLAYBACK, SoundQuality};
use crate::transcode::av::Mix;
use crate::transcode::job::{Job, scratch};
use crate::transcode::pass::clock::Clock;
use crate::transcode::pass::packets::each_packet;
use crate::transcode::pass::sound::{Sound, SoundReader, SoundSource};
use crate::vocabulary::{Damage, Kind};

/// Writes both sounds as PCM; `None` if one file has no sound.
pub(in crate::transcode) fn compare(
    original: &mut Side,
    playback: &mut Side,
    plan: &Plan,
    job: &Job<'_>,
) -> Result<Option<SoundQuality>, Fault> {
    let Some(index) = plan.audio.as_ref().map(|track| track.index) else { return Ok(None) };
    let Some(before) = decode(original, (INPUT, index), job)? else { return Ok(None) };
    let Some(index) = playback.facts.main_audio().map(|(stream, _)| stream.index) else { return Ok(None) };
    let Some(after) = decode(playback, (PLAYBACK, index), job)? else { return Ok(None) };
    let loudness = |sound: &Sound| sound.loudness.integrated_lufs;
    let loudness_change_lu = loudness(&after).zip(loudness(&before)).map(|(after, before)| after - before);
    write(before, PCM_OF_INPUT)?;
    write(after, PCM_OF_PLAYBACK)?;
    Ok(Some(SoundQuality { loudness_change_lu }))
}

fn decode(side: &mut Side, (path, index): (&'static str, usize), job: &Job<'_>) -> Result<Option<Sound>, Fault> {
    if side.input.stream(index).is_none() {
        return Ok(None);
    }
    // With a picture, a sound that starts late must keep its position.
    let clock = match side.facts.kind {
        Kind::Video => Clock::File(side.input.start_us() / 1000),
        _ => Clock::of_sound(side.facts.container),
    };
    let source = SoundSource {
        path,
        container: side.facts.container,
        index,
        read: None,
        rate: PCM_RATE_HZ,
        channels: 1,
        clock,
        mix: Mix::All,
        max_duration_s: job.limits.duration_s,
        until_ms: Some(COMPARED_MS.unsigned_abs()),
    };
    let mut reader = SoundReader::open(&side.input, source)?;
    each_packet(&mut side.input, &mut Damage::default(), &mut |_, packet| {
        if packet.stream() == index { reader.push(Some(packet)) } else { Ok(()) }
    })?;
    let sound = reader.finish(None)?;
    Ok((sound.frames() > 0).then_some(sound))
}

/// Writes little-endian 32-bit floats.
fn write(sound: Sound, name: &str) -> Result<(), Fault> {
    let mut file = BufWriter::new(File::create(name).map_err(scratch)?);
    let mut left = usize::try_from(COMPARED_MS.unsigned_abs() * u64::from(PCM_RATE_HZ) / 1000).unwrap_or(0);
    sound.each_piece(4096, &mut |samples| {
        let samples = &samples[..samples.len().min(left)];
        left -= samples.len();
        samples.iter().try_for_each(|sample| file.write_all(&sample.to_le_bytes())).map_err(scratch)
    })?;
    file.flush().map_err(scratch)
}
