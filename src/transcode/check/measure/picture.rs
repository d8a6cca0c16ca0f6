//! Compares frame by frame: SSIM and PSNR by libavfilter for all compared frames, SSIMULACRA 2 for a few.

use std::collections::VecDeque;

use ffmpeg_next as ff;
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

use super::{COMPARED_MS, Side};
use crate::error::Fault;
use crate::plan::{Facts, Plan, RateControl, Track, VideoSettings};
use crate::task::PictureQuality;
use crate::transcode::av::{self, Input, PairFilter, PictureFilter};
use crate::transcode::job::Job;
use crate::transcode::pass::frames::FrameReader;

/// Frames whose times differ by at most this are the same frame, because containers round times.
const SAME_MS: i64 = 4;
/// SSIMULACRA 2 takes a third of a second for a 720p frame.
const SAMPLE_EVERY_MS: i64 = 4_000;
/// The PSNR of identical pictures, which would be infinite.
const MAX_PSNR_DB: f64 = 100.0;

/// Reads the frames of one file in order.
struct Frames {
    input: Input,
    index: usize,
    reader: FrameReader,
    ready: VecDeque<(i64, ff::frame::Video)>,
    over: bool,
}

/// Compares the encoded picture with what it should be; `None` if no picture was encoded.
pub(in crate::transcode) fn compare(
    original: Side,
    playback: Side,
    plan: &Plan,
    job: &Job<'_>,
) -> Result<Option<PictureQuality>, Fault> {
    let Some((index, planned)) = plan.video.as_ref().and_then(|t| Some((t.index, Track::settings(t)?))) else {
        return Ok(None);
    };
    let Some((stream, picture)) = playback.facts.main_video().map(|(s, p)| (s.index, p.clone())) else {
        return Ok(None);
    };
    let (width, height) = (picture.coded_width, picture.coded_height);
    // A budget may have reduced the size below the planned one.
    let reference = VideoSettings { width, height, ..planned.clone() };
    let as_it_is =
        VideoSettings { frame_rate_cap: None, tone_map: false, rate: RateControl::Crf(0.0), ..reference.clone() };
    let mut before = Frames::open(original.input, &original.facts, (index, &reference), job)?;
    let mut after = Frames::open(playback.input, &playback.facts, (stream, &as_it_is), job)?;
    let mut tally = Tally::default();
    let (mut one, mut other) = (before.next(job)?, after.next(job)?);
    while let (Some((at, original)), Some((then, made))) = (&one, &other) {
        if at.max(then) > &COMPARED_MS {
            break;
        }
        let late_ms = at - then;
        if late_ms.abs() <= SAME_MS {
            tally.add(*at, original, made)?;
            (one, other) = (before.next(job)?, after.next(job)?);
        } else {
            tally.unmatched += 1;
            if late_ms < 0 {
                one = before.next(job)?;
            } else {
                other = after.next(job)?;
            }
        }
    }
    Ok(tally.finish())
}

impl Frames {
    fn open(
        mut input: Input,
        facts: &Facts,
        (index, settings): (usize, &VideoSettings),
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        let offset_ms = input.start_us() / 1000;
        let reader = FrameReader::open(&input, facts, (index, settings), offset_ms, job)?;
        input.keep_only(&[index]);
        Ok(Self { input, index, reader, ready: VecDeque::new(), over: false })
    }

    /// The next frame with its time in ms; `None` at the end.
    fn next(&mut self, job: &Job<'_>) -> Result<Option<(i64, ff::frame::Video)>, Fault> {
        while self.ready.is_empty() && !self.over {
            let mut packet = ff::Packet::empty();
            self.over = !self.input.read(&mut packet).unwrap_or(false);
            if !self.over && packet.stream() != self.index {
                continue;
            }
            let ready = &mut self.ready;
            self.reader.push((!self.over).then_some(&packet), job.limits, &mut |frame, time_base| {
                let at = av::to_ms(frame.pts().unwrap_or(0), time_base);
                // Tagged with the colours that the encoder was given, not with those of the source.
                av::prepare_for_encoder(frame);
                ready.push_back((at, std::mem::replace(frame, ff::frame::Video::empty())));
                Ok(())
            })?;
        }
        Ok(self.ready.pop_front())
    }
}

#[derive(Default)]
struct Tally {
    pair: Option<PairFilter>,
    frames: u32,
    unmatched: u32,
    ssim: Worst,
    psnr_db: Worst,
    ssimulacra2: Worst,
    next_sample_ms: i64,
}

/// A sum and the smallest value.
#[derive(Default)]
struct Worst {
    sum: f64,
    count: u32,
    least: Option<f64>,
}

impl Worst {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

impl Tally {
    fn add(&mut self, at_ms: i64, original: &ff::frame::Video, made: &ff::frame::Video) -> Result<(), Fault> {
        let failed = av::writing("comparing frames");
        if self.pair.is_none() {
            self.pair = Some(PairFilter::new(original, made).map_err(&failed)?);
        }
        if let Some(pair) = &mut self.pair {
            let (ssim, psnr_db) = pair.compare(original, made, i64::from(self.frames)).map_err(&failed)?;
            self.ssim.add(ssim);
            self.psnr_db.add(psnr_db.min(MAX_PSNR_DB));
        }
        self.frames += 1;
        if at_ms >= self.next_sample_ms {
            self.next_sample_ms = at_ms + SAMPLE_EVERY_MS;
            if let (Some(original), Some(made)) = (rgb(original)?, rgb(made)?) {
                // SSIMULACRA 2 is not defined for pictures below 8x8.
                compute_frame_ssimulacra2(original, made)
                    .ok()
                    .into_iter()
                    .for_each(|score| self.ssimulacra2.add(score));
            }
        }
        Ok(())
    }

    fn finish(self) -> Option<PictureQuality> {
        Some(PictureQuality {
            frames: self.frames,
            unmatched: self.unmatched,
            ssim: self.ssim.mean()?,
            ssim_worst: self.ssim.least?,
            psnr_db: self.psnr_db.mean()?,
            ssimulacra2: self.ssimulacra2.mean(),
            ssimulacra2_worst: self.ssimulacra2.least,
        })
    }
}

/// The frame in RGB, as a screen would show it.
fn rgb(frame: &ff::frame::Video) -> Result<Option<Rgb>, Fault> {
    let frame = PictureFilter::apply(frame, "format=rgb24").map_err(av::writing("converting a frame"))?;
    let (width, height, stride) = (frame.width() as usize, frame.height() as usize, frame.stride(0));
    let rows = frame.data(0).chunks(stride).take(height);
    let pixels = rows.flat_map(|row| row[..width * 3].chunks_exact(3));
    let scaled = pixels.map(|p| [p[0], p[1], p[2]].map(|value| f32::from(value) / 255.0)).collect();
    Ok(Rgb::new(scaled, width, height, TransferCharacteristic::BT1886, ColorPrimaries::BT709).ok())
}
