//! Copies the packets of streams unchanged into a new container, or only reads them.

use ffmpeg_next as ff;

use super::packets::each_packet;
use super::visible::Visible;
use crate::error::{Code, Fault};
use crate::plan::{Container, Facts, Plan};
use crate::transcode::av::{self, Input, Muxer, OutputStream};
use crate::transcode::job::{Findings, Job};
use crate::transcode::read::probe::check_duration;

/// Where packets go.
pub(in crate::transcode) enum Target<'a> {
    /// Into this file in this format.
    File(&'a str, &'a str),
    /// Nowhere: they are only read and counted, because the output is the original itself.
    Nowhere,
}

/// Options of the MP4 muxer for every output: the index comes first, so that playback can start while the file loads.
pub(in crate::transcode) const MP4_OPTIONS: &[(&str, &str)] = &[("movflags", "+faststart")];

/// Copies the planned streams.
///
/// # Errors
/// A limit, a file without packets, or [`Code::MediaProofFailed`] if no container accepts the streams unchanged.
pub(in crate::transcode) fn copy_streams(
    input: &mut Input,
    facts: &Facts,
    plan: &Plan,
    target: &Target<'_>,
    job: &mut Job<'_>,
) -> Result<Findings, Fault> {
    let tracks: Vec<usize> = plan.video.iter().map(|t| t.index).chain(plan.audio.iter().map(|t| t.index)).collect();
    let mut copier = Copier::new(input, &tracks, target, (facts, plan))?;
    input.keep_only(&tracks);
    let mut findings = Findings::default();
    let (mut packets, mut bad_packets) = (0, 0);
    each_packet(input, &mut findings.damage, &mut |_, packet| {
        let Some(track) = tracks.iter().position(|index| *index == packet.stream()) else { return Ok(()) };
        packets += 1;
        if packet.is_corrupt() {
            copier.visible[track].leave_out_broken();
            bad_packets += 1;
            return Ok(());
        }
        copier.take(track, packet)?;
        check_duration(copier.duration_ms(), job.limits)?;
        job.advance(i64::try_from(copier.duration_ms()).unwrap_or(0), facts.duration_ms);
        Ok(())
    })?;
    (findings.damage.packets, findings.damage.bad_packets) = (packets, bad_packets);
    if findings.damage.packets == 0 {
        return Err(Fault::rejected(Code::MediaUnreadable, "the container has no packets"));
    }
    if copier.written.contains(&0) {
        return Err(Fault::rejected(Code::MediaProofFailed, "one of the planned streams has no packets"));
    }
    if let Some(end_ms) = plan.video.as_ref().and_then(|track| facts.picture_end_ms(track.index)) {
        // The last packet may not say how long its picture is shown, so the container's end is used.
        let end_us = end_ms.saturating_mul(1000).saturating_sub(input.start_us());
        if end_us > copier.last_us + facts.last_frame_tolerance_us() {
            copier.last_us = end_us;
        }
    }
    findings.duration_ms = Some(copier.duration_ms());
    // The picture is the first track.
    findings.pictures = plan.video.is_some().then(|| copier.visible[0].shown());
    if let Some(muxer) = copier.muxer {
        muxer.finish().map_err(av::copying("writing the index"))?;
    }
    Ok(findings)
}

struct Copier {
    muxer: Option<Muxer>,
    time_bases: Vec<ff::Rational>,
    visible: Vec<Visible>,
    /// Packets written of each track.
    written: Vec<u64>,
    /// The file's start in each track's time base; outputs start at zero.
    offsets: Vec<i64>,
    first_us: i64,
    last_us: i64,
}

const US: ff::Rational = ff::Rational(1, 1_000_000);

impl Copier {
    fn new(
        input: &Input,
        tracks: &[usize],
        target: &Target<'_>,
        (facts, plan): (&Facts, &Plan),
    ) -> Result<Self, Fault> {
        let streams: Vec<_> = tracks.iter().filter_map(|index| input.stream(*index)).collect();
        let time_bases: Vec<_> = streams.iter().map(|s| s.time_base()).collect();
        let anew = matches!(target, Target::File(..));
        let visible = streams.iter().map(|stream| Visible::of(stream, anew)).collect();
        let offsets = time_bases.iter().map(|tb| av::rescale(input.start_us(), US, *tb)).collect();
        let muxer = match target {
            Target::Nowhere => None,
            Target::File(path, format) => {
                let mut outputs = streams
                    .iter()
                    .map(|stream| OutputStream {
                        parameters: stream.parameters(),
                        time_base: stream.time_base(),
                        display_matrix: plan.video.is_some().then(|| stream.display_matrix()).flatten(),
                        frame_rate: stream.frame_rates().0,
                        sample_aspect_ratio: (stream.kind() == av::StreamType::Video)
                            .then(|| stream.sample_aspect_ratio()),
                    })
                    .collect::<Vec<_>>();
                Some(match (*format, outputs.len()) {
                    ("mp3", 1) => {
                        let mut output = outputs.swap_remove(0);
                        // libav starts an MP3 behind the encoder's padding, as its tag says. The output's tag says the
                        // same. In other containers a sound that starts late has waited, and nothing of it is padding.
                        let is_padding = facts.container == Container::Mp3;
                        let start = streams.first().and_then(av::StreamView::start).filter(|_| is_padding).unwrap_or(0);
                        let rate = streams.first().map_or(1, |stream| stream.sample_rate().max(1).cast_signed());
                        let padding = av::rescale(start, output.time_base, ff::Rational::new(1, rate));
                        av::set_initial_padding(&mut output.parameters, padding);
                        create_mp3(path, output, facts)?
                    }
                    _ => Muxer::create(path, format, outputs, &[], MP4_OPTIONS)
                        .map_err(av::copying("starting the output"))?,
                })
            }
        };
        let written = vec![0; time_bases.len()];
        Ok(Self { muxer, time_bases, visible, written, offsets, first_us: i64::MAX, last_us: 0 })
    }

    fn take(&mut self, track: usize, packet: &mut ff::Packet) -> Result<(), Fault> {
        let (time_base, offset) = (self.time_bases[track], self.offsets[track]);
        let shift = |timestamp: Option<i64>| timestamp.map(|t| t.saturating_sub(offset));
        packet.set_pts(shift(packet.pts()));
        packet.set_dts(shift(packet.dts()));
        let Self { muxer, visible, written, first_us, last_us, .. } = self;
        visible[track].take(packet, &mut |packet| {
            written[track] += 1;
            if let Some(pts) = packet.pts().or(packet.dts()) {
                // Packets that an edit list hides before the start are not shown, so they do not count.
                let start = av::rescale(pts, time_base, US).max(0);
                let end = av::rescale(pts.saturating_add(packet.duration().max(0)), time_base, US);
                *first_us = (*first_us).min(start);
                *last_us = (*last_us).max(end);
            }
            match muxer {
                Some(muxer) => muxer.write(track, packet).map_err(av::copying("writing a packet")),
                None => Ok(()),
            }
        })
    }

    fn duration_ms(&self) -> u64 {
        u64::try_from(self.last_us.saturating_sub(self.first_us.min(self.last_us)).max(0) / 1000).unwrap_or(0)
    }
}

/// Starts an MP3 with the tags in [`Facts::tags`]. The tag block is there also where there are none: programs that see only the bytes
/// know a sound of few frames as MP3 by that alone (FFmpeg takes two frames of silence for H.263), and how many frames there
/// will be is not known yet.
///
/// # Errors
/// Failures of this machine.
pub(in crate::transcode) fn create_mp3(file: &str, stream: OutputStream, facts: &Facts) -> Result<Muxer, Fault> {
    let tags: Vec<(&str, &str)> = facts.tags.iter().map(|(key, value)| (*key, value.as_str())).collect();
    // The Xing header makes length and seeking exact. Every player reads ID3v2.3.
    let options = [("write_xing", "1"), ("id3v2_version", "3"), ("write_id3v1", "0")];
    Muxer::create(file, "mp3", vec![stream], &tags, &options).map_err(av::writing("starting the output"))
}
