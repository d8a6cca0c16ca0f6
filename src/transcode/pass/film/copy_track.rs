//! A stream of a video that is copied unchanged while another one is encoded.

use ffmpeg_next as ff;

use super::Waiting;
use crate::error::Fault;
use crate::transcode::av::{self, OutputStream, StreamView};
use crate::transcode::job::scratch;
use crate::transcode::pass::packets::PacketSpool;
use crate::transcode::pass::visible::Visible;

/// Copies packets onto the output's timeline.
pub(in crate::transcode) struct CopyTrack {
    packets: PacketSpool,
    stream: OutputStream,
    visible: Visible,
    offset: i64,
    end: i64,
    /// Packets that were left out.
    pub(in crate::transcode) corrupt: u64,
}

impl CopyTrack {
    /// `spool` is the file that is used if memory is not enough.
    pub(in crate::transcode) fn new(stream: &StreamView<'_>, offset_ms: i64, spool: &'static str) -> Self {
        let time_base = stream.time_base();
        let is_picture = stream.kind() == av::StreamType::Video;
        Self {
            packets: PacketSpool::new(spool),
            stream: OutputStream {
                parameters: stream.parameters(),
                time_base,
                display_matrix: is_picture.then(|| stream.display_matrix()).flatten(),
                frame_rate: is_picture.then(|| stream.frame_rates().0).flatten(),
                sample_aspect_ratio: is_picture.then(|| stream.sample_aspect_ratio()),
            },
            visible: Visible::of(stream, true),
            offset: av::rescale(offset_ms, ff::Rational::new(1, 1000), time_base),
            end: 0,
            corrupt: 0,
        }
    }

    pub(in crate::transcode) fn push(&mut self, packet: &ff::Packet) -> Result<(), Fault> {
        if packet.is_corrupt() {
            self.visible.leave_out_broken();
            self.corrupt += 1;
            return Ok(());
        }
        let mut packet = packet.clone();
        packet.set_pts(packet.pts().map(|pts| pts.saturating_sub(self.offset)));
        packet.set_dts(packet.dts().map(|dts| dts.saturating_sub(self.offset)));
        let Self { visible, packets, end, .. } = self;
        visible.take(&mut packet, &mut |packet| {
            *end = (*end).max(packet.pts().unwrap_or(*end).saturating_add(packet.duration()));
            packets.push(packet).map_err(scratch)
        })
    }

    /// The number of copied packets.
    pub(in crate::transcode) fn len(&self) -> u64 {
        self.packets.len() as u64
    }

    /// The number of copied packets that players show.
    pub(in crate::transcode) fn shown(&self) -> u64 {
        self.visible.shown()
    }

    /// The time that it has reached, in ms.
    pub(in crate::transcode) fn end_ms(&self) -> i64 {
        av::to_ms(self.end, self.stream.time_base)
    }

    pub(in crate::transcode) fn finish(self) -> Waiting {
        Waiting { stream: self.stream, packets: self.packets, copied: true }
    }
}
