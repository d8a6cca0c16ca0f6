//! Videos of which at least one stream has to be encoded. One decoding feeds the encoders and the poster; a long sound
//! is decoded a second time.

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

/// A written video and its poster.
pub(in crate::transcode) struct Film {
    pub(in crate::transcode) findings: Findings,
    /// `None` if the picture was copied, because then no frame was decoded.
    pub(in crate::transcode) poster: Option<ff::frame::Video>,
    /// Whether it has sound. Some files declare sound and have none.
    pub(in crate::transcode) has_sound: bool,
    /// Number of packets of a sound of which nothing could be decoded.
    pub(in crate::transcode) unread_sound: u64,
    /// The duration of one frame.
    pub(in crate::transcode) frame_ms: u64,
}

/// An encoded or copied stream that is ready to be written.
struct Waiting {
    stream: OutputStream,
    packets: PacketSpool,
    copied: bool,
}

/// A finished picture stream.
struct EncodedPicture {
    track: Waiting,
    /// How many pictures it shows.
    pictures: u64,
    end_ms: u64,
    packets: u64,
    bad_packets: u64,
    poster: Option<ff::frame::Video>,
}

/// Reads the input once and writes `file`.
///
/// # Errors
/// A limit, a file that cannot be decoded at all, [`Code::MediaProofFailed`] if a stream cannot be copied unchanged, or
/// a failure of this machine.
pub(in crate::transcode) fn encode_film(
    input: &mut Input,
    facts: &Facts,
    plan: &Plan,
    file: &str,
    job: &mut Job<'_>,
) -> Result<Film, Fault> {
    let Some(video) = &plan.video else {
        return Err(Fault::broken(Code::WorkerBroken, "a video without a picture was planned"));
    };
    let offset_ms = input.start_us() / 1000;
    let mut picture = PictureTrack::open(input, facts, video, offset_ms, job)?;
    let read: Vec<usize> = std::iter::once(video.index).chain(plan.audio.as_ref().map(|t| t.index)).collect();
    let sound = plan.audio.as_ref().map(|track| SoundTrack::open(input, facts, (track, &read), offset_ms, job));
    let (mut sound, unopened) = match sound.transpose() {
        Ok(sound) => (sound, 0),
        // The picture can be used. A sound whose decoder refuses its parameters is left out, and the report says so.
        Err(Fault::Rejected { code: Code::MediaUnreadable, .. }) => (None, 1),
        Err(fault) => return Err(fault),
    };
    input.keep_only(&read);

    let frame_ms = picture.frame_ms(facts);
    let mut film = Film { findings: Findings::default(), poster: None, has_sound: false, unread_sound: 0, frame_ms };
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

    film.has_sound = sound.is_some();
    film.unread_sound = if sound.is_none() { unopened + film.findings.damage.packets } else { 0 };
    let sound_ms = sound.as_ref().map_or(0, |s| s.duration_ms);
    film.findings.duration_ms = Some(picture.end_ms.max(sound_ms));
    film.findings.pictures = Some(picture.pictures);
    film.findings.damage.packets += picture.packets;
    film.findings.damage.bad_packets += picture.bad_packets;
    film.poster = picture.poster;
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
