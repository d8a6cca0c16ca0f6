//! Films of which at least one stream has to be encoded: one decode feeds encoder, sound and poster; a long sound is decoded
//! a second time.

mod copy_track;
mod picture_track;
mod tracks;

use ffmpeg_next as ff;

use super::copy_streams::MP4_OPTIONS;
use super::packets::{PacketSpool, each_packet};
use crate::error::{Code, Fault};
use crate::plan::{Facts, Plan};
use crate::transcode::av::{self, Input, Muxer, OutputStream};
use crate::transcode::job::{Findings, Job, scratch};
use tracks::{PictureTrack, SoundTrack};

/// A written film and its poster.
pub(in crate::transcode) struct Film {
    pub(in crate::transcode) findings: Findings,
    /// None where the picture was copied: then nothing was decoded that could be one.
    pub(in crate::transcode) poster: Option<ff::frame::Video>,
    /// Some files declare sound and have none.
    pub(in crate::transcode) has_sound: bool,
    /// Of one frame.
    pub(in crate::transcode) frame_ms: u64,
}

/// An encoded or copied stream that waits to be written.
struct Waiting {
    stream: OutputStream,
    packets: PacketSpool,
    copied: bool,
}

/// A picture that is done.
struct EncodedPicture {
    track: Waiting,
    end_ms: u64,
    packets: u64,
    bad_packets: u64,
    poster: Option<ff::frame::Video>,
}

/// Reads the input once and writes `file`.
///
/// # Errors
/// A limit, a file that cannot be decoded at all, [`Code::MediaProofFailed`] where a stream cannot be kept as it is, or
/// this machine's trouble.
pub(in crate::transcode) fn encode_film(
    input: &mut Input,
    facts: &Facts,
    plan: &Plan,
    file: &str,
    job: &mut Job<'_>,
) -> Result<Film, Fault> {
    let Some(video) = &plan.video else {
        return Err(Fault::broken(Code::WorkerBroken, "a film without a picture was planned"));
    };
    let offset_ms = input.start_us() / 1000;
    let mut picture = PictureTrack::open(input, facts, video, offset_ms, job)?;
    let read: Vec<usize> = std::iter::once(video.index).chain(plan.audio.as_ref().map(|t| t.index)).collect();
    let sound = plan.audio.as_ref().map(|track| SoundTrack::open(input, facts, (track, &read), offset_ms, job));
    let mut sound = sound.transpose()?;
    input.keep_only(&read);

    let frame_ms = picture.frame_ms(facts);
    let mut film = Film { findings: Findings::default(), poster: None, has_sound: false, frame_ms };
    each_packet(input, &mut film.findings.damage, &mut |_, packet| {
        if packet.stream() == video.index {
            picture.push(packet, job)?;
            job.advance(picture.end_ms(), facts.duration_ms);
        } else if let Some(sound) = sound.as_mut().filter(|s| s.index == packet.stream()) {
            sound.push(packet)?;
        }
        Ok(())
    })?;
    let picture = picture.finish(job)?;
    let sound = sound.map(|s| s.finish(plan, job, &mut film.findings)).transpose()?.flatten();

    film.findings.damage.packets += picture.packets;
    film.findings.damage.bad_packets += picture.bad_packets;
    let sound_ms = sound.as_ref().map_or(0, |s| s.duration_ms);
    film.findings.duration_ms = Some(picture.end_ms.max(sound_ms));
    film.poster = picture.poster;
    film.has_sound = sound.is_some();
    write(file, picture.track, sound.map(|s| s.track))?;
    Ok(film)
}

/// Writes both streams, interleaved by DTS.
fn write(file: &str, picture: Waiting, sound: Option<Waiting>) -> Result<(), Fault> {
    let mut spools = Vec::new();
    let mut streams = Vec::new();
    let mut copies = false;
    for waiting in std::iter::once(picture).chain(sound) {
        spools.push((waiting.packets, waiting.stream.time_base, 0));
        streams.push(waiting.stream);
        copies |= waiting.copied;
    }
    let failed = |doing| move |error| if copies { av::copying(doing)(error) } else { av::writing(doing)(error) };
    let mut muxer = Muxer::create(file, "mp4", streams, &[], MP4_OPTIONS).map_err(failed("starting the output"))?;
    let next = |(packets, time_base, at): &(PacketSpool, ff::Rational, usize)| {
        (*at < packets.len()).then(|| packets.dts(*at).map_or(i64::MIN, |dts| av::to_ms(dts, *time_base)))
    };
    while let Some(track) = (0..spools.len()).filter(|n| next(&spools[*n]).is_some()).min_by_key(|n| next(&spools[*n]))
    {
        let (packets, _, at) = &mut spools[track];
        let mut packet = packets.get(*at).map_err(scratch)?;
        *at += 1;
        muxer.write(track, &mut packet).map_err(failed("writing a packet"))?;
    }
    muxer.finish().map_err(failed("writing the index"))
}
