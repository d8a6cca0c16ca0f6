//! Decides which packets of a copied stream belong to what players show of it.

use ffmpeg_next as ff;

use crate::error::{Code, Fault};
use crate::transcode::av;

/// Takes a packet that is copied.
type OnKept<'a> = dyn FnMut(&mut ff::Packet) -> Result<(), Fault> + 'a;

/// Filters the packets of one stream, in their order.
pub(in crate::transcode) struct Visible {
    parameters: ff::codec::Parameters,
    is_picture: bool,
    reorders: bool,
    shown: bool,
    broken: bool,
    /// Hidden packets behind the first shown one. They are left out unless a shown packet follows.
    waiting: Vec<ff::Packet>,
    /// The time at which the first hidden packet would be shown. No shown packet may have this time or a later one.
    hidden_from: i64,
}

/// More packets than any codec reorders.
const MOST_WAITING: usize = 16;

impl Visible {
    pub(in crate::transcode) fn of(stream: &av::StreamView<'_>) -> Self {
        Self {
            parameters: stream.parameters(),
            is_picture: stream.kind() == av::StreamType::Video,
            reorders: stream.reorders(),
            shown: false,
            broken: false,
            waiting: Vec::new(),
            hidden_from: i64::MAX,
        }
    }

    /// Leaves out a packet that is broken or cut off by the end of the file, because players might fail on it.
    pub(in crate::transcode) fn leave_out_broken(&mut self) {
        self.broken = true;
    }

    /// Takes a packet whose timestamps count from the output's start, and passes on those to copy: the shown ones, and
    /// hidden ones before the start or behind the end that others need.
    ///
    /// # Errors
    /// [`Code::MediaProofFailed`] if players show something else than the stream's packets; the errors of `on_kept`.
    pub(in crate::transcode) fn take(
        &mut self,
        packet: &mut ff::Packet,
        on_kept: &mut OnKept<'_>,
    ) -> Result<(), Fault> {
        let not_kept = |text: &str| Err(Fault::rejected(Code::MediaProofFailed, text));
        av::check_order(self.reorders, packet)?;
        if av::is_described_anew(packet, &self.parameters) {
            return not_kept("its codec parameters change within the stream");
        }
        if !av::is_hidden(packet) {
            if self.broken {
                return not_kept("packets in its middle are broken");
            }
            if packet.pts().unwrap_or(i64::MAX) >= self.hidden_from || self.waiting.len() > MOST_WAITING {
                return not_kept("an edit list hides a part of it");
            }
            for mut hidden in self.waiting.drain(..) {
                // It is behind the end and lasts no time, so the output's own edit list hides it.
                hidden.set_duration(1);
                on_kept(&mut hidden)?;
            }
            self.shown = true;
            return on_kept(packet);
        }
        if self.shown {
            self.hidden_from = self.hidden_from.min(packet.pts().unwrap_or(i64::MIN));
            if self.waiting.len() <= MOST_WAITING {
                self.waiting.push(packet.clone());
            }
            return Ok(());
        }
        // Before the start: decoded but not shown.
        let end = packet.pts().map(|pts| pts.saturating_add(packet.duration().max(0)));
        match (self.is_picture, packet.pts()) {
            (true, Some(..0)) => on_kept(packet),
            (true, _) => not_kept("an edit list hides the pictures before its first one"),
            (false, _) if end.is_some_and(|end| end <= 0) => on_kept(packet),
            (false, _) => Ok(()),
        }
    }
}
