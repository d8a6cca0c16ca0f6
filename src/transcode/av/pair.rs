//! Compares two pictures by libavfilter's `ssim` and `psnr`.

use ffmpeg_next as ff;

use super::filter::source_arguments;

/// A filter graph for pairs of frames with one size and format.
pub(in crate::transcode) struct PairFilter(ff::filter::Graph);

/// Frames are only numbered, because they were matched by time before.
const TIME_BASE: ff::Rational = ff::Rational(1, 25);

impl PairFilter {
    /// Builds the graph for frames like these.
    ///
    /// # Errors
    /// libav's error if the frames differ in size or format, or this build lacks the filters.
    pub(in crate::transcode) fn new(reference: &ff::frame::Video, made: &ff::frame::Video) -> Result<Self, ff::Error> {
        let mut graph = ff::filter::Graph::new();
        let buffer = ff::filter::find("buffer").ok_or(ff::Error::FilterNotFound)?;
        let sink = ff::filter::find("buffersink").ok_or(ff::Error::FilterNotFound)?;
        graph.add(&buffer, "made", &source_arguments(made, TIME_BASE))?;
        graph.add(&buffer, "reference", &source_arguments(reference, TIME_BASE))?;
        graph.add(&sink, "out", "")?;
        // The output is the first input with the results in its metadata.
        let chain = "[reference]split[a][b];[made][a]ssim[with];[with][b]psnr[out]";
        graph.output("made", 0)?.output("reference", 0)?.input("out", 0)?.parse(chain)?;
        graph.validate()?;
        Ok(Self(graph))
    }

    /// SSIM (0 to 1) and PSNR (dB, infinite for identical pictures) of the `n`th pair.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn compare(
        &mut self,
        reference: &ff::frame::Video,
        made: &ff::frame::Video,
        n: i64,
    ) -> Result<(f64, f64), ff::Error> {
        for (name, frame) in [("made", made), ("reference", reference)] {
            let mut frame = super::reference(frame);
            frame.set_pts(Some(n));
            self.0.get(name).ok_or(ff::Error::FilterNotFound)?.source().add(&frame)?;
        }
        let mut compared = ff::frame::Video::empty();
        self.0.get("out").ok_or(ff::Error::FilterNotFound)?.sink().frame(&mut compared)?;
        let metadata = compared.metadata();
        let figure = |key: &str| metadata.get(key).and_then(|text| text.parse().ok()).ok_or(ff::Error::InvalidData);
        Ok((figure("lavfi.ssim.All")?, figure("lavfi.psnr.psnr_avg")?))
    }
}
