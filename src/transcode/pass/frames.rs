//! Decodes a picture into frames as they are to be shown: upright, with the planned size and colours. Frames are left
//! out if the planned frame rate is lower, but never added.

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::plan::{DynamicRange, Facts, Media, Picture, VideoSettings};
use crate::task::Limits;
use crate::transcode::av::{self, Decoder, Input, PictureFilter};
use crate::transcode::draw::picture;
use crate::transcode::job::Job;
use crate::transcode::read::probe::check_duration;

/// Takes a frame and the time base of its timestamp. The file's start is 0.
pub(in crate::transcode) type OnFrame<'a> = dyn FnMut(&mut ff::frame::Video, ff::Rational) -> Result<(), Fault> + 'a;

/// Turns packets into frames.
pub(in crate::transcode) struct FrameReader {
    pub(in crate::transcode) decoder: Decoder<ff::frame::Video>,
    stage: FilterStage,
}

/// The steps behind the decoder.
struct FilterStage {
    settings: VideoSettings,
    source: Picture,
    time_base: ff::Rational,
    offset: i64,
    frame_rate: f64,
    threads: u32,
    filter: Option<PictureFilter>,
    next_due: Option<f64>,
    /// The frame before and its time. It waits here, because a frame with the same time would replace it before anybody
    /// sees it.
    held: Option<(ff::frame::Video, i64)>,
    end: i64,
    /// The end of the picture by the container, if that is plausible.
    declared_end: Option<i64>,
    tolerance_us: i64,
}

impl FrameReader {
    /// A reader for one stream of the input.
    ///
    /// # Errors
    /// If the decoder does not accept the stream.
    pub(in crate::transcode) fn open(
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
        let stage = FilterStage {
            settings: settings.clone(),
            source,
            time_base,
            offset: av::rescale(offset_ms, ff::Rational::new(1, 1000), time_base),
            frame_rate,
            threads: job.threads,
            filter: None,
            next_due: None,
            held: None,
            end: 0,
            declared_end: facts
                .picture_end_ms(index)
                .map(|end_ms| av::rescale(end_ms.saturating_sub(offset_ms), ff::Rational::new(1, 1000), time_base)),
            tolerance_us: facts.last_frame_tolerance_us(),
        };
        Ok(Self { decoder, stage })
    }

    /// The average frame rate of the output.
    pub(in crate::transcode) fn frame_rate(&self) -> f64 {
        self.stage.frame_rate
    }

    /// The end of the last frame, with its time base.
    pub(in crate::transcode) fn end(&self) -> (i64, ff::Rational) {
        (self.stage.end, self.stage.time_base)
    }

    /// The end of the last frame in ms.
    pub(in crate::transcode) fn end_ms(&self) -> i64 {
        av::to_ms(self.stage.end, self.stage.time_base)
    }

    /// Feeds a packet, or the end of the stream with `None`.
    ///
    /// # Errors
    /// A limit, or the errors of `on_frame`. Damaged data is counted.
    pub(in crate::transcode) fn push(
        &mut self,
        packet: Option<&ff::Packet>,
        limits: &Limits,
        on_frame: &mut OnFrame<'_>,
    ) -> Result<(), Fault> {
        let stage = &mut self.stage;
        self.decoder.push(packet, &mut |frame| stage.take(frame, on_frame))?;
        if packet.is_none() {
            if self.decoder.packets > 0 {
                // The last packet may not say how long its frame is shown.
                let declared = stage.declared_end.unwrap_or(0);
                let tolerance = av::rescale(stage.tolerance_us, ff::Rational::new(1, 1_000_000), stage.time_base);
                if declared > stage.end.saturating_add(tolerance) {
                    stage.end = declared;
                }
            }
            stage.pass(on_frame)?;
            stage.drain_filter(None, on_frame)?;
        }
        check_duration(u64::try_from(self.end_ms()).unwrap_or(0), limits)
    }
}

impl FilterStage {
    /// Takes a decoded frame, unless its timestamp excludes it, and passes on the one before.
    fn take(&mut self, frame: &mut ff::frame::Video, on_frame: &mut OnFrame<'_>) -> Result<(), Fault> {
        let nominal = frame_duration(self.frame_rate, self.time_base);
        // Frames of a slide show last as long as each says. A duration of zero means unknown.
        let duration = Some(frame.packet().duration).filter(|duration| *duration > 0).unwrap_or(nominal);
        let pts = frame.timestamp().map_or(self.end, |pts| pts.saturating_sub(self.offset));
        let last = self.held.as_ref().map_or(0, |(_, pts)| *pts);
        if pts < last {
            return Ok(());
        }
        if pts > last {
            self.pass(on_frame)?;
        }
        self.end = pts.saturating_add(duration);
        self.held = Some((std::mem::replace(frame, ff::frame::Video::empty()), pts));
        Ok(())
    }

    /// Passes on the waiting frame, unless the maximum frame rate excludes it.
    fn pass(&mut self, on_frame: &mut OnFrame<'_>) -> Result<(), Fault> {
        let Some((mut frame, pts)) = self.held.take().filter(|(_, pts)| self.is_due(*pts)) else { return Ok(()) };
        av::assume_color(&mut frame);
        let mut frame = picture::flatten(frame)?;
        frame.set_pts(Some(pts));
        if self.filter.as_ref().is_none_or(|filter| !filter.fits(&frame)) {
            self.drain_filter(None, on_frame)?;
            let chain = self.chain(&frame);
            let filter = PictureFilter::new(&frame, self.time_base, &chain, self.threads);
            self.filter = Some(filter.map_err(av::reading("preparing the picture's filters"))?);
        }
        self.drain_filter(Some(&frame), on_frame)
    }

    /// Whether the maximum frame rate admits this frame. Timestamps are kept; frames are left out but never added.
    fn is_due(&mut self, pts: i64) -> bool {
        let Some(cap) = self.settings.frame_rate_cap else { return true };
        #[expect(clippy::cast_precision_loss, reason = "timestamps are far below 2^52")]
        let seconds = pts as f64 * f64::from(self.time_base);
        let due = self.next_due.unwrap_or(seconds);
        // A frame that is early by up to a tenth of a frame is on time, because timestamps are rounded.
        if seconds < due - 0.1 / cap {
            return false;
        }
        self.next_due = Some(due.max(seconds - 1.0 / cap) + 1.0 / cap);
        true
    }

    fn chain(&self, frame: &ff::frame::Video) -> String {
        let size = (self.settings.width, self.settings.height);
        let (full_width, full_height) = picture::before_turning(size, self.source.orientation);
        let (width, height) = self.within((full_width, full_height), frame);
        let weave = if self.source.interlaced { "bwdif=mode=send_frame:deint=interlaced," } else { "" };
        let color = av::frame_color(frame);
        let scale = if self.settings.tone_map && self.source.dynamic_range != DynamicRange::Sdr {
            picture::tone_map(width, height, color)
        } else {
            picture::primaries(width, height, color)
                .unwrap_or_else(|| format!("scale={width}:{height}:out_color_matrix=bt709:out_range=tv"))
        };
        let bars = if (width, height) == (full_width, full_height) {
            String::new()
        } else {
            format!(",format=yuv420p,pad={full_width}:{full_height}:(ow-iw)/2:(oh-ih)/2")
        };
        format!("{weave}{scale}{bars}{},setsar=1,format=yuv420p", picture::upright(self.source.orientation))
    }

    /// The size of a frame inside the planned size: all of it, unless the frame has another shape than planned. A phone
    /// that is turned during a call sends frames of another shape; those get bars.
    fn within(&self, (width, height): (u32, u32), frame: &ff::frame::Video) -> (u32, u32) {
        if (frame.width(), frame.height()) == (self.source.coded_width, self.source.coded_height) {
            return (width, height);
        }
        let of_frame = frame.aspect_ratio();
        let (num, den) = match (u32::try_from(of_frame.numerator()), u32::try_from(of_frame.denominator())) {
            (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
            _ => self.source.sample_aspect_ratio,
        };
        let shape =
            f64::from(frame.width()) * f64::from(num.max(1)) / (f64::from(frame.height()) * f64::from(den.max(1)));
        fit_shape((width, height), shape)
    }

    fn drain_filter(&mut self, frame: Option<&ff::frame::Video>, on_frame: &mut OnFrame<'_>) -> Result<(), Fault> {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        filter.push(frame).map_err(av::reading("filtering the picture"))?;
        let mut filtered = ff::frame::Video::empty();
        while filter.pull(&mut filtered).map_err(av::reading("filtering the picture"))? {
            on_frame(&mut filtered, filter.time_base)?;
            filtered = ff::frame::Video::empty();
        }
        Ok(())
    }
}

/// Shapes that differ by less than this count as the same, because sizes are rounded to even numbers.
const SAME_SHAPE: f64 = 0.03;

/// The largest even size with this shape (width divided by height) inside another size.
fn fit_shape((width, height): (u32, u32), shape: f64) -> (u32, u32) {
    let wanted = f64::from(width) / f64::from(height.max(1));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the planned size")]
    let even = |pixels: f64, most: u32| (((pixels / 2.0).round() as u32) * 2).clamp(2, most.max(2));
    if !shape.is_finite() || (shape / wanted - 1.0).abs() < SAME_SHAPE {
        (width, height)
    } else if shape < wanted {
        (even(f64::from(height) * shape, width), height)
    } else {
        (width, even(f64::from(width) / shape, height))
    }
}

/// The duration of one frame in ticks.
#[expect(clippy::cast_possible_truncation, reason = "a fraction of a second in ticks")]
pub(in crate::transcode) fn frame_duration(frame_rate: f64, time_base: ff::Rational) -> i64 {
    ((1.0 / frame_rate.max(0.1)) / f64::from(time_base).max(1e-9)).round() as i64
}

#[cfg(test)]
mod tests {
    use super::fit_shape;

    #[test]
    fn a_frame_of_another_shape_is_fitted_in() {
        assert_eq!(fit_shape((96, 64), 1.5), (96, 64));
        assert_eq!(fit_shape((96, 64), 64.0 / 96.0), (42, 64));
        assert_eq!(fit_shape((640, 480), 16.0 / 9.0), (640, 360));
        // 1088 coded lines of which 1080 are shown.
        assert_eq!(fit_shape((1280, 720), 1920.0 / 1088.0), (1280, 720));
        assert_eq!(fit_shape((64, 64), 10_000.0), (64, 2));
        assert_eq!(fit_shape((64, 64), f64::NAN), (64, 64));
    }
}
