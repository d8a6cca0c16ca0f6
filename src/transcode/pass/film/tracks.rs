//! The two streams of a video, each encoded or copied.

use ffmpeg_next as ff;

use super::copy_track::CopyTrack;
use super::picture_track::PictureEncoder;
use super::{EncodedPicture, Waiting};
use crate::error::{Code, Fault};
use crate::plan::{AudioSettings, Facts, Plan, Track, VideoSettings};
use crate::task::INPUT;
use crate::transcode::av::{self, AudioEncoder, Input, Mix, OutputStream};
use crate::transcode::job::{Findings, Job};
use crate::transcode::pass::clock::Clock;
use crate::transcode::pass::packets::PacketSpool;
use crate::transcode::pass::sound::{SoundReader, SoundSource};
use crate::transcode::read::probe::check_duration;

/// The picture stream of a video.
pub(in crate::transcode) enum PictureTrack {
    Encode(Box<PictureEncoder>),
    Copy(Box<CopyTrack>),
}

impl PictureTrack {
    pub(in crate::transcode) fn open(
        input: &Input,
        facts: &Facts,
        track: &Track<VideoSettings>,
        offset_ms: i64,
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        if let Some(settings) = track.settings() {
            let encoder = PictureEncoder::open(input, facts, (track.index, settings), offset_ms, job)?;
            return Ok(Self::Encode(Box::new(encoder)));
        }
        let missing = || Fault::broken(Code::WorkerBroken, "the planned picture is not in the file");
        let stream = input.stream(track.index).ok_or_else(missing)?;
        Ok(Self::Copy(Box::new(CopyTrack::new(&stream, offset_ms, "video.part"))))
    }

    /// The duration of one frame, rounded up.
    pub(in crate::transcode) fn frame_ms(&self, facts: &Facts) -> u64 {
        match self {
            Self::Encode(encoder) => encoder.frame_ms(),
            Self::Copy(_) => facts.frame_ms(),
        }
    }

    pub(in crate::transcode) fn push(&mut self, packet: &ff::Packet, job: &Job<'_>) -> Result<(), Fault> {
        match self {
            Self::Encode(encoder) => encoder.push(Some(packet), job),
            Self::Copy(copy) => {
                copy.push(packet)?;
                check_duration(u64::try_from(copy.end_ms()).unwrap_or(0), job.limits)
            }
        }
    }

    /// The time that it has reached, in ms.
    pub(in crate::transcode) fn end_ms(&self) -> i64 {
        match self {
            Self::Encode(encoder) => encoder.end_ms(),
            Self::Copy(copy) => copy.end_ms(),
        }
    }

    pub(in crate::transcode) fn finish(self, job: &Job<'_>) -> Result<EncodedPicture, Fault> {
        match self {
            Self::Encode(mut encoder) => {
                encoder.push(None, job)?;
                encoder.finish()
            }
            Self::Copy(copy) if copy.len() == 0 => {
                Err(Fault::rejected(Code::MediaUnreadable, "the picture has no packets"))
            }
            Self::Copy(copy) => Ok(EncodedPicture {
                end_ms: u64::try_from(copy.end_ms()).unwrap_or(0),
                pictures: copy.shown(),
                packets: copy.len() + copy.corrupt,
                bad_packets: copy.corrupt,
                poster: None,
                track: copy.finish(),
            }),
        }
    }
}

/// The sound stream of a video.
pub(in crate::transcode) struct SoundTrack {
    pub(in crate::transcode) index: usize,
    source: TrackSource,
}

enum TrackSource {
    Encode(Box<SoundReader<'static>>),
    Copy(Box<CopyTrack>),
}

/// A finished sound stream.
pub(in crate::transcode) struct FinishedSound {
    pub(in crate::transcode) track: Waiting,
    pub(in crate::transcode) duration_ms: u64,
}

impl SoundTrack {
    pub(in crate::transcode) fn open(
        input: &Input,
        facts: &Facts,
        (track, read): (&Track<AudioSettings>, &[usize]),
        offset_ms: i64,
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        let missing = || Fault::broken(Code::WorkerBroken, "the planned sound is not in the file");
        let stream = input.stream(track.index).ok_or_else(missing)?;
        let way = match track.settings() {
            Some(settings) => {
                let source = SoundSource {
                    path: INPUT,
                    container: facts.container,
                    index: track.index,
                    read: Some(read.to_vec()),
                    rate: settings.sample_rate_hz,
                    channels: settings.channels,
                    clock: Clock::File(offset_ms),
                    mix: Mix::All,
                    max_duration_s: job.limits.duration_s,
                    until_ms: None,
                };
                TrackSource::Encode(Box::new(SoundReader::open(input, source)?))
            }
            None => TrackSource::Copy(Box::new(CopyTrack::new(&stream, offset_ms, "sound.part"))),
        };
        Ok(Self { index: track.index, source: way })
    }

    pub(in crate::transcode) fn push(&mut self, packet: &ff::Packet) -> Result<(), Fault> {
        match &mut self.source {
            TrackSource::Encode(reader) => reader.push(Some(packet)),
            TrackSource::Copy(copy) => copy.push(packet),
        }
    }

    /// `None` if the file declares sound but has none. A long sound is decoded again for the encoder.
    pub(in crate::transcode) fn finish(
        self,
        plan: &Plan,
        job: &Job<'_>,
        findings: &mut Findings,
    ) -> Result<Option<FinishedSound>, Fault> {
        match self.source {
            TrackSource::Copy(copy) => {
                findings.damage.packets += copy.len() + copy.corrupt;
                findings.damage.bad_packets += copy.corrupt;
                let duration_ms = u64::try_from(copy.end_ms()).unwrap_or(0);
                check_duration(duration_ms, job.limits)?;
                Ok((copy.len() > 0).then(|| FinishedSound { track: copy.finish(), duration_ms }))
            }
            TrackSource::Encode(reader) => {
                let Some(settings) = plan.audio.as_ref().and_then(Track::settings) else { return Ok(None) };
                let sound = reader.finish(job.profile.audio.loudness)?;
                findings.damage.packets += sound.packets;
                findings.damage.bad_packets += sound.bad_packets;
                if sound.frames() == 0 {
                    return Ok(None);
                }
                findings.loudness = Some(sound.loudness);
                let duration_ms = sound.duration_ms();
                let opened = AudioEncoder::open(settings);
                let mut encoder = opened.map_err(av::writing("opening the audio encoder"))?;
                let mut packets = PacketSpool::new("audio.part");
                sound.encode(&mut encoder, None, &mut |packet| Ok(packets.push(&packet)?))?;
                let stream = OutputStream {
                    parameters: encoder.parameters(),
                    time_base: encoder.time_base(),
                    display_matrix: None,
                    frame_rate: None,
                    sample_aspect_ratio: None,
                };
                Ok(Some(FinishedSound { track: Waiting { stream, packets, copied: false }, duration_ms }))
            }
        }
    }
}
