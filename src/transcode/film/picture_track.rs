//! From packets of the input to packets of H.264: decode, filter, encode, and a poster on the way.

use ffmpeg_next as ff;

use super::super::av::{self, Decoder, Input, OutputStream, PictureFilter, VideoEncoder};
use super::super::job::{Job, Trouble};
use super::super::packets::PacketSpool;
use super::super::picture::{self, PosterPicker};
use super::super::probe::check_duration;
use super::{EncodedPicture, Waiting};
use crate::domain::{DynamicRange, Facts, Media, Picture, VideoSettings};
use crate::error::{Code, Fault};

/// A picture that is encoded.
pub(super) struct PictureEncoder {
    decoder: Decoder<ff::frame::Video>,
    stage: Stage,
    /// How far it has come, in ms.
    pub(super) end_ms: i64,
}

/// Everything behind the decoder.
struct Stage {
    settings: VideoSettings,
    source: Picture,
    time_base: ff::Rational,
    offset: i64,
    frame_rate: f64,
    threads: u32,
    filter: Option<PictureFilter>,
    encoder: Option<VideoEncoder>,
    packets: PacketSpool,
    poster: PosterPicker,
    next_due: Option<f64>,
    last_pts: Option<i64>,
    end: i64,
}

impl PictureEncoder {
    pub(super) fn open(
        input: &Input,
        facts: &Facts,
        (index, settings): (usize, &VideoSettings),
        offset_ms: i64,
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        let missing = || Fault::broken(Code::WorkerBroken, "the planned picture is not in the file");
        let stream = input.stream(index).ok_or_else(missing)?;
        let Some(Media::Video(source)) = facts.streams.get(index).map(|s| s.media.clone()) else {
            return Err(missing());
        };
        let decoder =
            Decoder::open(&stream, job.threads, job.limits.pixels).map_err(av::reading("opening the video decoder"))?;
        let time_base = stream.time_base();
        let frame_rate = source.frame_rate.unwrap_or(25.0).min(settings.frame_rate_cap.unwrap_or(f64::MAX));
        let stage = Stage {
            settings: settings.clone(),
            source,
            time_base,
            offset: av::rescale(offset_ms, ff::Rational::new(1, 1000), time_base),
            frame_rate,
            threads: job.threads,
            filter: None,
            encoder: None,
            packets: PacketSpool::new("video.part"),
            poster: PosterPicker::default(),
            next_due: None,
            last_pts: None,
            end: 0,
        };
        Ok(Self { decoder, stage, end_ms: 0 })
    }

    pub(super) fn frame_ms(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1000")]
        let ms = (1000.0 / self.stage.frame_rate.max(1.0)).ceil() as u64;
        ms
    }

    pub(super) fn push(&mut self, packet: Option<&ff::Packet>, job: &Job<'_>) -> Result<(), Fault> {
        let stage = &mut self.stage;
        self.decoder.push(packet, &mut |frame| stage.take(frame))?;
        self.end_ms = av::to_ms(self.stage.end, self.stage.time_base);
        check_duration(u64::try_from(self.end_ms).unwrap_or(0), job.limits)
    }

    pub(super) fn finish(mut self) -> Result<EncodedPicture, Fault> {
        self.stage.drain_filter(None)?;
        let Some(encoder) = &mut self.stage.encoder else {
            return Err(Fault::rejected(Code::MediaUnreadable, "no frame of the picture can be decoded"));
        };
        let packets = &mut self.stage.packets;
        let fallback = frame_duration(self.stage.frame_rate, encoder.time_base);
        encoder
            .push(None, &mut |packet| keep(packets, packet, fallback))
            .map_err(|trouble| trouble.into_fault("encoding the picture"))?;
        let end = av::rescale(self.stage.end, self.stage.time_base, encoder.time_base);
        self.stage.packets.end_at(end);
        let stream = OutputStream {
            parameters: encoder.parameters(),
            time_base: encoder.time_base,
            display_matrix: None,
            frame_rate: Some(self.stage.frame_rate),
            sample_aspect_ratio: None,
        };
        Ok(EncodedPicture {
            track: Waiting { stream, packets: self.stage.packets },
            end_ms: u64::try_from(self.end_ms).unwrap_or(0),
            packets: self.decoder.packets,
            bad_packets: self.decoder.bad,
            poster: self.stage.poster.into_frame(),
        })
    }
}

impl Stage {
    /// Takes a decoded frame, unless the frame rate's cap or its timestamp leaves it out.
    fn take(&mut self, frame: &mut ff::frame::Video) -> Result<(), Fault> {
        let nominal = frame_duration(self.frame_rate, self.time_base);
        // A slide show's frames last as long as each says; an empty field is not to be believed.
        let duration = Some(frame.packet().duration).filter(|duration| *duration > 0).unwrap_or(nominal);
        let pts = frame.timestamp().map_or(self.end, |pts| pts.saturating_sub(self.offset));
        if self.last_pts.is_some_and(|last| pts <= last) || pts < 0 || !self.is_due(pts) {
            return Ok(());
        }
        self.last_pts = Some(pts);
        self.end = pts.saturating_add(duration);
        frame.set_pts(Some(pts));
        av::assume_color(frame);
        let mut frame = picture::flatten(std::mem::replace(frame, ff::frame::Video::empty()))?;
        frame.set_pts(Some(pts));
        if self.filter.as_ref().is_none_or(|filter| !filter.fits(&frame)) {
            self.drain_filter(None)?;
            let chain = self.chain(&frame);
            let filter = PictureFilter::new(&frame, self.time_base, &chain, self.threads);
            self.filter = Some(filter.map_err(av::reading("preparing the picture's filters"))?);
        }
        self.drain_filter(Some(&frame))
    }

    /// Whether the cap lets this frame through. Timestamps are kept; frames are left out, never made up.
    fn is_due(&mut self, pts: i64) -> bool {
        let Some(cap) = self.settings.frame_rate_cap else { return true };
        #[expect(clippy::cast_precision_loss, reason = "timestamps are far below 2^52")]
        let seconds = pts as f64 * f64::from(self.time_base);
        let due = self.next_due.unwrap_or(seconds);
        // A tenth of a frame early is on time: timestamps are rounded.
        if seconds < due - 0.1 / cap {
            return false;
        }
        self.next_due = Some(due.max(seconds - 1.0 / cap) + 1.0 / cap);
        true
    }

    fn chain(&self, frame: &ff::frame::Video) -> String {
        let size = (self.settings.width, self.settings.height);
        let (width, height) = picture::before_turning(size, self.source.orientation);
        let weave = if self.source.interlaced { "bwdif=mode=send_frame:deint=interlaced," } else { "" };
        let color = av::frame_color(frame);
        let scale = if self.settings.tone_map && self.source.dynamic_range != DynamicRange::Sdr {
            picture::tone_map(width, height, color.transfer)
        } else {
            format!("scale={width}:{height}:out_color_matrix=bt709:out_range=tv")
        };
        format!("{weave}{scale}{},setsar=1,format=yuv420p", picture::upright(self.source.orientation))
    }

    fn drain_filter(&mut self, frame: Option<&ff::frame::Video>) -> Result<(), Fault> {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        filter.push(frame).map_err(av::reading("filtering the picture"))?;
        loop {
            let mut filtered = ff::frame::Video::empty();
            let filter = self.filter.as_mut();
            let more = filter.is_some_and(|f| f.pull(&mut filtered).unwrap_or(false));
            if !more {
                return Ok(());
            }
            self.encode(&mut filtered)?;
        }
    }

    fn encode(&mut self, frame: &mut ff::frame::Video) -> Result<(), Fault> {
        let time_base = self.filter.as_ref().map_or(self.time_base, |filter| filter.time_base);
        if self.encoder.is_none() {
            let encoder = VideoEncoder::open(&self.settings, time_base, self.frame_rate, self.threads);
            self.encoder = Some(encoder.map_err(av::writing("opening the video encoder"))?);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let pts = frame.pts().map(|pts| av::rescale(pts, time_base, encoder.time_base));
        frame.set_pts(pts);
        av::prepare_for_encoder(frame);
        self.poster.offer(frame, av::to_ms(pts.unwrap_or(0), encoder.time_base));
        let packets = &mut self.packets;
        let fallback = frame_duration(self.frame_rate, encoder.time_base);
        encoder
            .push(Some(frame), &mut |packet| keep(packets, packet, fallback))
            .map_err(|trouble| trouble.into_fault("encoding the picture"))
    }
}

/// x264 gives no duration; without one the last frame would have none.
fn keep(packets: &mut PacketSpool, mut packet: ff::Packet, duration: i64) -> Result<(), Trouble> {
    if packet.duration() == 0 {
        packet.set_duration(duration);
    }
    packets.push(&packet).map_err(Trouble::Scratch)
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction of a second in ticks")]
fn frame_duration(frame_rate: f64, time_base: ff::Rational) -> i64 {
    ((1.0 / frame_rate.max(0.1)) / f64::from(time_base).max(1e-9)).round() as i64
}
