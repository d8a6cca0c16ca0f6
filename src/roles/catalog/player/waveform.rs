//! A sound's peaks as the bars that the page draws.

use serde_json::Value;

/// Bars of a page: as many as a narrow window shows apart.
const BARS: usize = 240;

/// Heights from 0 to 100 from audiowaveform's JSON (version 2): pairs of least and greatest value. Empty where it is none.
pub(in crate::roles::catalog) fn bars(value: &Value) -> Vec<u8> {
    let data = value.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let heights: Vec<u64> = data.iter().map(|value| value.as_i64().unwrap_or(0).unsigned_abs()).collect();
    let pairs: Vec<u64> = heights.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or(0)).collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    let count = pairs.len().min(BARS);
    let loudest = pairs.iter().copied().max().unwrap_or(0).max(1);
    (0..count)
        .map(|n| {
            let (from, to) =
                (n * pairs.len() / count, ((n + 1) * pairs.len() / count).max(n * pairs.len() / count + 1));
            let highest = pairs[from..to.min(pairs.len())].iter().copied().max().unwrap_or(0);
            u8::try_from(highest.saturating_mul(100) / loudest).unwrap_or(100)
        })
        .collect()
}
