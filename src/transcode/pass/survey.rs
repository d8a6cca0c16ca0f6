//! Reads all packets once before planning, to measure bit rates: of a stream that would be kept, or a picture that
//! would be encoded, if its container does not say them.

use crate::error::Fault;
use crate::plan::{Facts, Plan};
use crate::task::INPUT;
use crate::transcode::av;
use crate::transcode::pass::packets::each_packet;
use crate::transcode::read::probe;
use crate::vocabulary::Damage;

/// A shorter time gives no useful average.
const LEAST_US: i64 = 100_000;

#[derive(Clone, Default)]
struct Counted {
    bytes: u64,
    span_us: Option<(i64, i64)>,
}

/// Fills in the missing bit rates of the streams that the plan keeps, and of its picture. Returns `false` if none was
/// missing.
///
/// # Errors
/// Failures of this machine.
pub(in crate::transcode) fn complete_rates(facts: &mut Facts, plan: &Plan) -> Result<bool, Fault> {
    let kept = plan.audio.iter().filter(|t| t.settings().is_none()).map(|t| t.index);
    let wanted = plan.video.iter().map(|t| t.index).chain(kept);
    let unknown: Vec<usize> =
        wanted.filter(|index| facts.streams.get(*index).is_some_and(|s| s.bit_rate.is_none())).collect();
    if unknown.is_empty() {
        return Ok(false);
    }
    let counted = count(facts, &unknown)?;
    for (index, counted) in unknown.into_iter().zip(counted) {
        let length_us = counted.span_us.map_or(0, |(from, to)| to.saturating_sub(from));
        if let Ok(length_us @ 1..) = u64::try_from(length_us.max(LEAST_US)) {
            facts.streams[index].bit_rate = Some(counted.bytes.saturating_mul(8_000_000) / length_us);
        }
    }
    Ok(true)
}

fn count(facts: &Facts, indices: &[usize]) -> Result<Vec<Counted>, Fault> {
    let mut counted = vec![Counted::default(); indices.len()];
    let mut input = probe::open(INPUT, facts.container)?;
    input.keep_only(indices);
    each_packet(&mut input, &mut Damage::default(), &mut |input, packet| {
        let Some(n) = indices.iter().position(|index| *index == packet.stream()) else { return Ok(()) };
        let Some(stream) = input.stream(packet.stream()) else { return Ok(()) };
        let us = |ticks| av::rescale(ticks, stream.time_base(), ffmpeg_next::Rational(1, 1_000_000));
        counted[n].bytes += packet.size() as u64;
        if let Some(start) = packet.pts().or(packet.dts()) {
            let end = us(start.saturating_add(packet.duration().max(0)));
            let (from, to) = counted[n].span_us.unwrap_or((us(start), end));
            counted[n].span_us = Some((from.min(us(start)), to.max(end)));
        }
        Ok(())
    })?;
    Ok(counted)
}
