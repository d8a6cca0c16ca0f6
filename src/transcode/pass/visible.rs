//! Which packets of a stream that is kept belong to what players show of it.

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::transcode::av;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Place {
    /// It is written: shown, or hidden in front of the start, where the output's own edit list hides it too.
    Kept,
    /// It is left out: hidden, and nothing that is shown needs it.
    LeftOut,
}

/// Looks at the packets of one stream in their order.
pub(in crate::transcode) struct Visible {
    parameters: ff::codec::Parameters,
    is_picture: bool,
    reorders: bool,
    shown: bool,
    left_out: bool,
    broken: bool,
}

impl Visible {
    pub(in crate::transcode) fn of(stream: &av::StreamView<'_>) -> Self {
        Self {
            parameters: stream.parameters(),
            is_picture: stream.kind() == av::StreamType::Video,
            reorders: stream.reorders(),
            shown: false,
            left_out: false,
            broken: false,
        }
    }

    /// A packet is cut off by the end of the file, or broken, and left out: a player would stumble over it.
    pub(in crate::transcode) fn leave_out_broken(&mut self) {
        self.broken = true;
    }

    /// What becomes of a packet whose timestamps count from the output's start.
    ///
    /// # Errors
    /// [`Code::MediaProofFailed`] where the stream's packets are not what players show of it.
    pub(in crate::transcode) fn place(&mut self, packet: &ff::Packet) -> Result<Place, Fault> {
        let not_kept = |text: &str| Err(Fault::rejected(Code::MediaProofFailed, text));
        av::check_order(self.reorders, packet)?;
        if av::is_described_anew(packet, &self.parameters) {
            return not_kept("its codec's parameters change on the way");
        }
        if !av::is_hidden(packet) {
            if self.left_out && self.shown {
                return not_kept("an edit list hides a part of it");
            }
            if self.broken {
                return not_kept("packets are broken in its middle");
            }
            self.shown = true;
            return Ok(Place::Kept);
        }
        let ends = packet.pts().map(|pts| pts.saturating_add(packet.duration().max(0)));
        if !self.shown && ends.is_some_and(|end| end <= 0) {
            return Ok(Place::Kept);
        }
        if !self.shown && self.is_picture && packet.pts().is_none_or(|pts| pts >= 0) {
            return not_kept("an edit list hides the pictures before its first one");
        }
        if !self.shown && self.is_picture {
            return Ok(Place::Kept);
        }
        self.left_out |= self.shown;
        Ok(Place::LeftOut)
    }
}
