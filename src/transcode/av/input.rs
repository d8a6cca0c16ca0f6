//! Opens a file with the demuxer of the recognised format, and reads its packets.
#![expect(unsafe_code, reason = "an explicit demuxer is reached through libav's C structs only")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ptr;

use ff::ffi;
use ffmpeg_next as ff;

use super::packet::hide;
use super::rescale;
use super::stream::{StreamType, StreamView, collect};
use super::timeline::Timeline;

/// An open input.
pub(in crate::transcode) struct Input {
    context: ff::format::context::Input,
    /// Where timestamps of the format may restart.
    timeline: Option<Timeline>,
    /// The empty edits, with the index of the stream that each belongs to.
    empty: Vec<(usize, EmptyEdits)>,
}

/// Where the edit list of one track shows nothing between parts that it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transcode) struct EmptyEdits {
    /// The track's ID, which libav takes as the ID of the stream.
    pub(in crate::transcode) track_id: u32,
    /// Start and end of each gap, in order, in ticks of the track from the start of the film.
    pub(in crate::transcode) gaps: Vec<(i64, i64)>,
}

impl EmptyEdits {
    fn is_empty_at(&self, pts: i64) -> bool {
        let next = self.gaps.partition_point(|(start, _)| *start <= pts);
        next.checked_sub(1).is_some_and(|n| pts < self.gaps[n].1)
    }
}

const US: ff::Rational = ff::Rational(1, 1_000_000);

impl Input {
    /// Opens `path` with this demuxer and no other. Only these codecs may be decoded while probing.
    ///
    /// # Errors
    /// libav's error if the bytes are not what the demuxer expects.
    pub(in crate::transcode) fn open(path: &str, demuxer: &str, codecs: &[&str]) -> Result<Self, ff::Error> {
        let name = CString::new(demuxer).map_err(|_| ff::Error::InvalidData)?;
        let path = CString::new(path).map_err(|_| ff::Error::InvalidData)?;
        let mut options = ff::Dictionary::new();
        options.set("protocol_whitelist", "file");
        options.set("format_whitelist", demuxer);
        options.set("codec_whitelist", &decoder_names(codecs));
        // SAFETY: the strings outlive the call; on failure libav frees the context, on success `wrap` owns it.
        let mut input = unsafe {
            let format = ffi::av_find_input_format(name.as_ptr());
            if format.is_null() {
                return Err(ff::Error::DemuxerNotFound);
            }
            let mut context = ptr::null_mut();
            let mut raw_options = options.disown();
            let result = ffi::avformat_open_input(&raw mut context, path.as_ptr(), format, &raw mut raw_options);
            drop(ff::Dictionary::own(raw_options));
            if result < 0 {
                return Err(ff::Error::from(result));
            }
            ff::format::context::Input::wrap(context)
        };
        // SAFETY: the context is open; no per-stream options are passed.
        let result = unsafe { ffi::avformat_find_stream_info(input.as_mut_ptr(), ptr::null_mut()) };
        if result < 0 {
            return Err(ff::Error::from(result));
        }
        // SAFETY: an open context has its format.
        let flags = unsafe { (*(*input.as_ptr()).iformat).flags };
        let restarts = flags.cast_unsigned() & ffi::AVFMT_TS_DISCONT.cast_unsigned() != 0;
        Ok(Self { context: input, timeline: restarts.then(Timeline::default), empty: Vec::new() })
    }

    /// The next packet; false at the end of the file.
    ///
    /// # Errors
    /// libav's error if the container is cut off or damaged.
    pub(in crate::transcode) fn read(&mut self, packet: &mut ff::Packet) -> Result<bool, ff::Error> {
        match packet.read(&mut self.context) {
            Ok(()) => {}
            Err(ff::Error::Eof) => return Ok(false),
            Err(error) => return Err(error),
        }
        let edits = self.empty.iter().find(|(index, _)| *index == packet.stream());
        if let (Some((_, edits)), Some(pts)) = (edits, packet.pts())
            && edits.is_empty_at(pts)
        {
            hide(packet);
        }
        if let (Some(timeline), Some(stream)) = (&mut self.timeline, self.context.stream(packet.stream()))
            && let Some(dts) = packet.dts().or(packet.pts())
            && matches!(StreamView(stream).kind(), StreamType::Video | StreamType::Audio)
        {
            let time_base = self.context.stream(packet.stream()).map_or(US, |stream| stream.time_base());
            let us = |ticks| rescale(ticks, time_base, US);
            let offset_us = timeline.place(packet.stream(), us(dts), us(packet.duration()));
            if offset_us != 0 {
                let moved = |ticks: i64| ticks.saturating_add(rescale(offset_us, US, time_base));
                packet.set_pts(packet.pts().map(moved));
                packet.set_dts(packet.dts().map(moved));
            }
        }
        Ok(true)
    }

    /// Seeks to the keyframe at or before this time, in ms from the start of the file.
    pub(in crate::transcode) fn seek_ms(&mut self, ms: i64) -> Result<(), ff::Error> {
        let target = self.start_us().saturating_add(ms.saturating_mul(1000));
        if let Some(timeline) = &mut self.timeline {
            *timeline = Timeline::default();
        }
        self.context.seek(target, ..target)
    }

    /// Declared length in ms.
    pub(in crate::transcode) fn duration_ms(&self) -> Option<u64> {
        u64::try_from(self.context.duration()).ok().filter(|us| *us > 0).map(|us| us / 1000)
    }

    /// Declared start of the earliest stream in µs, which counts as the start of the file. Empty edits with which all
    /// streams begin are before it.
    pub(in crate::transcode) fn start_us(&self) -> i64 {
        // SAFETY: the context is open.
        let start = unsafe { (*self.context.as_ptr()).start_time };
        if start == ffi::AV_NOPTS_VALUE { 0 } else { start }
    }

    /// Sets where edit lists show nothing. Packets in these times are hidden, because libav put them there.
    pub(in crate::transcode) fn leave_empty(&mut self, edits: Vec<EmptyEdits>) {
        let index_of = |edits: &EmptyEdits| {
            let id = i32::try_from(edits.track_id).ok();
            self.context.streams().find(|stream| Some(stream.id()) == id).map(|stream| stream.index())
        };
        self.empty = edits.into_iter().filter_map(|edits| Some((index_of(&edits)?, edits))).collect();
    }

    /// Whether a stream shows nothing between parts that it shows.
    pub(in crate::transcode) fn has_gaps(&self, index: usize) -> bool {
        self.empty.iter().any(|(of, _)| *of == index)
    }

    /// The number of streams known so far; some demuxers find more while reading.
    pub(in crate::transcode) fn stream_count(&self) -> usize {
        self.context.streams().count()
    }

    /// A stream by index.
    pub(in crate::transcode) fn stream(&self, index: usize) -> Option<StreamView<'_>> {
        self.context.stream(index).map(StreamView)
    }

    /// All streams.
    pub(in crate::transcode) fn streams(&self) -> impl Iterator<Item = StreamView<'_>> {
        self.context.streams().map(StreamView)
    }

    /// The container's metadata, with keys in lower case.
    pub(in crate::transcode) fn metadata(&self) -> BTreeMap<String, String> {
        collect(&self.context.metadata())
    }

    /// Makes the demuxer discard packets of all other streams.
    pub(in crate::transcode) fn keep_only(&mut self, wanted: &[usize]) {
        // SAFETY: the context owns `nb_streams` valid stream pointers.
        unsafe {
            let context = self.context.as_mut_ptr();
            for n in 0..(*context).nb_streams as usize {
                let stream = *(*context).streams.add(n);
                if !wanted.contains(&n) {
                    (*stream).discard = ffi::AVDiscard::AVDISCARD_ALL;
                }
            }
        }
    }
}

fn decoder_names(codecs: &[&str]) -> String {
    let mut names: Vec<String> =
        codecs.iter().filter_map(|codec| super::decoder_for(codec)).map(|codec| codec.name().to_owned()).collect();
    // An empty list would allow every decoder.
    names.push("none".to_owned());
    names.join(",")
}
