//! Decodes a picture, encodes it as H.264, and picks the poster.

use ffmpeg_next as ff;

use super::{EncodedPicture, Waiting};
use crate::error::{Code, Fault};
use crate::plan::{Facts, VideoSettings};
use crate::transcode::av::{self, Input, OutputStream, VideoEncoder};
use crate::transcode::draw::picture::PosterPicker;
use crate::transcode::job::{Job, Trouble};
use crate::transcode::pass::frames::{FrameReader, frame_duration};
use crate::transcode::pass::packets::PacketSpool;

/// A picture that is encoded.
pub(in crate::transcode) struct PictureEncoder {
    reader: FrameReader,
    stage: EncoderStage,
}

/// The steps behind the frames.
struct EncoderStage {
    settings: VideoSettings,
    frame_rate: f64,
    threads: u32,
    encoder: Option<VideoEncoder>,
    packets: PacketSpool,
    poster: PosterPicker,
}

impl PictureEncoder {
    pub(in crate::transcode) fn open(
        input: &Input,
        facts: &Facts,
        (index, settings): (usize, &VideoSettings),
        offset_ms: i64,
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        let reader = FrameReader::open(input, facts, (index, settings), offset_ms, job)?;
        let stage = EncoderStage {
            settings: settings.clone(),
            frame_rate: reader.frame_rate(),
            threads: job.threads,
            encoder: None,
            packets: PacketSpool::new("video.part"),
            poster: PosterPicker::default(),
        };
        Ok(Self { reader, stage })
    }

    pub(in crate::transcode) fn frame_ms(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1000")]
        let ms = (1000.0 / self.stage.frame_rate.max(1.0)).ceil() as u64;
        ms
    }

    /// The time that it has reached, in ms.
    pub(in crate::transcode) fn end_ms(&self) -> i64 {
        self.reader.end_ms()
    }

    pub(in crate::transcode) fn push(&mut self, packet: Option<&ff::Packet>, job: &Job<'_>) -> Result<(), Fault> {
        let stage = &mut self.stage;
        self.reader.push(packet, job.limits, &mut |frame, time_base| stage.encode(frame, time_base))
    }

    pub(in crate::transcode) fn finish(self) -> Result<EncodedPicture, Fault> {
        let Self { reader, mut stage } = self;
        let Some(encoder) = &mut stage.encoder else {
            return Err(Fault::rejected(Code::MediaUnreadable, "no frame of the picture can be decoded"));
        };
        let packets = &mut stage.packets;
        let fallback = frame_duration(stage.frame_rate, encoder.time_base);
        encoder
            .push(None, &mut |packet| keep(packets, packet, fallback))
            .map_err(|trouble| trouble.into_fault("encoding the picture"))?;
        let (end, time_base) = reader.end();
        stage.packets.end_at(av::rescale(end, time_base, encoder.time_base));
        let stream = OutputStream {
            parameters: encoder.parameters(),
            time_base: encoder.time_base,
            display_matrix: None,
            frame_rate: Some(stage.frame_rate),
            sample_aspect_ratio: None,
        };
        Ok(EncodedPicture {
            pictures: stage.packets.len() as u64,
            track: Waiting { stream, packets: stage.packets, copied: false },
            end_ms: u64::try_from(reader.end_ms()).unwrap_or(0),
            packets: reader.decoder.packets,
            bad_packets: reader.decoder.bad,
            poster: stage.poster.into_frame(),
        })
    }
}

impl EncoderStage {
    fn encode(&mut self, frame: &mut ff::frame::Video, time_base: ff::Rational) -> Result<(), Fault> {
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

/// x264 sets no duration. Without one the last frame would not be shown.
fn keep(packets: &mut PacketSpool, mut packet: ff::Packet, duration: i64) -> Result<(), Trouble> {
    if packet.duration() == 0 {
        packet.set_duration(duration);
    }
    packets.push(&packet).map_err(Trouble::Scratch)
}
