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
    /// Whether the packets go into an output that is written anew.
    anew: bool,
    /// Shown packets that are not empty.
    shown: u64,
    broken: bool,
    /// Hidden packets behind the first shown one.
    hidden: usize,
    /// The time at which the first hidden packet would be shown. No shown packet may have this time or a later one.
    hidden_from: i64,
}

/// More packets than any codec reorders.
const MOST_HIDDEN: usize = 16;

impl Visible {
    /// `anew` if the packets go into an output that is written anew.
    pub(in crate::transcode) fn of(stream: &av::StreamView<'_>, anew: bool) -> Self {
        Self {
            parameters: stream.parameters(),
            is_picture: stream.kind() == av::StreamType::Video,
            reorders: stream.reorders(),
            anew,
            shown: 0,
            broken: false,
            hidden: 0,
            hidden_from: i64::MAX,
        }
    }

    /// Leaves out a packet that is broken or cut off by the end of the file, because players might fail on it.
    pub(in crate::transcode) fn leave_out_broken(&mut self) {
        self.broken = true;
    }

    /// How many packets players show so far.
    pub(in crate::transcode) fn shown(&self) -> u64 {
        self.shown
    }

    /// Takes a packet whose timestamps count from the output's start, and passes on those to copy: the shown ones, and
    /// hidden ones before the start that others need. Hidden ones behind the end are left out. Where a shown one may
    /// need them, an output that is written anew cannot hide them: libav's muxer counts them into its length.
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
            let most_hidden = if self.anew { 0 } else { MOST_HIDDEN };
            if packet.pts().unwrap_or(i64::MAX) >= self.hidden_from || self.hidden > most_hidden {
                return not_kept("an edit list hides a part of it");
            }
            self.shown += u64::from(packet.size() > 0);
            return on_kept(packet);
        }
        if self.shown > 0 {
            self.hidden_from = self.hidden_from.min(packet.pts().unwrap_or(i64::MIN));
            self.hidden += 1;
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
