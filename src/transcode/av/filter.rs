//! A chain of libavfilter's video filters between a decoder and an encoder.
#![expect(unsafe_code, reason = "frame formats are read as numbers")]

use ff::ffi;
use ffmpeg_next as ff;

use super::{frame_color, set_frame_color};

/// A chain for frames of one size and format.
pub(in crate::transcode) struct PictureFilter {
    graph: ff::filter::Graph,
    input: (u32, u32, i32),
    /// Time base of the frames that come out.
    pub(in crate::transcode) time_base: ff::Rational,
}

impl PictureFilter {
    /// Builds the chain for frames like this one.
    ///
    /// # Errors
    /// libav's error if the chain does not support such frames.
    pub(in crate::transcode) fn new(
        frame: &ff::frame::Video,
        time_base: ff::Rational,
        chain: &str,
        threads: u32,
    ) -> Result<Self, ff::Error> {
        let input = shape(frame);
        let mut graph = ff::filter::Graph::new();
        // SAFETY: the graph is allocated and not yet configured.
        unsafe { (*graph.as_mut_ptr()).nb_threads = i32::try_from(threads).unwrap_or(1).max(1) };
        let buffer = ff::filter::find("buffer").ok_or(ff::Error::FilterNotFound)?;
        let sink = ff::filter::find("buffersink").ok_or(ff::Error::FilterNotFound)?;
        graph.add(&buffer, "in", &source_arguments(frame, time_base))?;
        graph.add(&sink, "out", "")?;
        graph.output("in", 0)?.input("out", 0)?.parse(chain)?;
        graph.validate()?;
        let time_base = graph.get("out").ok_or(ff::Error::FilterNotFound)?.sink().time_base();
        Ok(Self { graph, input, time_base })
    }

    /// Whether the chain was built for frames like this one.
    pub(in crate::transcode) fn fits(&self, frame: &ff::frame::Video) -> bool {
        self.input == shape(frame)
    }

    /// Feeds a frame, or the end with `None`.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn push(&mut self, frame: Option<&ff::frame::Video>) -> Result<(), ff::Error> {
        let mut source = self.graph.get("in").ok_or(ff::Error::FilterNotFound)?;
        match frame {
            Some(frame) => source.source().add(frame),
            None => source.source().flush(),
        }
    }

    /// Takes a frame out; `false` if there is none yet or none any more.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn pull(&mut self, frame: &mut ff::frame::Video) -> Result<bool, ff::Error> {
        let mut sink = self.graph.get("out").ok_or(ff::Error::FilterNotFound)?;
        match sink.sink().frame(frame) {
            Ok(()) => Ok(true),
            Err(ff::Error::Eof | ff::Error::Other { errno: libc::EAGAIN }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs a single picture through a chain.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn apply(frame: &ff::frame::Video, chain: &str) -> Result<ff::frame::Video, ff::Error> {
        let mut filter = Self::new(frame, ff::Rational::new(1, 1000), chain, 1)?;
        // libav takes over the frame and leaves an empty one behind, so it gets a reference.
        filter.push(Some(&super::reference(frame)))?;
        filter.push(None)?;
        let mut out = ff::frame::Video::empty();
        if filter.pull(&mut out)? { Ok(out) } else { Err(ff::Error::Eof) }
    }
}

fn shape(frame: &ff::frame::Video) -> (u32, u32, i32) {
    // SAFETY: the frame is allocated.
    (frame.width(), frame.height(), unsafe { (*frame.as_ptr()).format })
}

/// The arguments that tell a source filter which frames it will get.
pub(super) fn source_arguments(frame: &ff::frame::Video, time_base: ff::Rational) -> String {
    let (width, height, format) = shape(frame);
    let aspect = frame.aspect_ratio();
    let (num, den) = if aspect.numerator() > 0 { (aspect.numerator(), aspect.denominator()) } else { (1, 1) };
    let mut arguments = format!(
        "video_size={width}x{height}:pix_fmt={format}:time_base={}/{}:pixel_aspect={num}/{den}",
        time_base.numerator(),
        time_base.denominator()
    );
    // From libavfilter 10 on the source also requires the colours; older versions do not know these options.
    // SAFETY: no preconditions.
    if unsafe { ffi::avfilter_version() } >> 16 >= 10 {
        let color = frame_color(frame);
        arguments.push_str(&format!(":colorspace={}:range={}", color.matrix, color.range));
    }
    arguments
}

/// Sets the colour tags that a player would assume if a frame has none: BT.601 below 720 lines, BT.709 from there on.
pub(in crate::transcode) fn assume_color(frame: &mut ff::frame::Video) {
    let mut color = frame_color(frame);
    if color.matrix == 2 || color.matrix == 0 {
        color.matrix = if frame.height() < 720 && frame.width() < 1280 { 6 } else { 1 };
        set_frame_color(frame, color);
    }
}
