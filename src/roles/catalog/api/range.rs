//! `Range` (RFC 9110, section 14): one range of bytes. Several ranges, other units and what cannot be read are passed over, as the
//! RFC lets a server do: the answer is then the whole.

/// What is sent of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// The bytes from the first to before the second.
    Bytes(u64, u64),
    /// Nothing that was asked for is there.
    Beyond,
}

/// The part that a header asks for, of an object of this size.
pub(super) fn part(header: Option<&str>, size: u64) -> Part {
    let asked = header.and_then(|text| text.strip_prefix("bytes=")).filter(|text| !text.contains(','));
    let Some((first, last)) = asked.and_then(|text| text.trim().split_once('-')) else { return Part::Whole };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Part::Beyond,
        (Some(first), Some(last)) => Part::Bytes(first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => Part::Bytes(first, size),
        (None, Some(0)) if first.is_empty() => Part::Beyond,
        (None, Some(_)) if first.is_empty() && size == 0 => Part::Beyond,
        (None, Some(last)) if first.is_empty() => Part::Bytes(size.saturating_sub(last), size),
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_everything_else_the_whole() {
        for (header, expected) in [
            ("bytes=0-0", Part::Bytes(0, 1)),
            ("bytes=10-19", Part::Bytes(10, 20)),
            ("bytes=90-", Part::Bytes(90, 100)),
            ("bytes=90-200", Part::Bytes(90, 100)),
            ("bytes=-10", Part::Bytes(90, 100)),
            ("bytes=-1000", Part::Bytes(0, 100)),
            ("bytes=100-", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=20-10", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=1-b", Part::Whole),
            ("items=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 100), expected, "{header}");
        }
        assert_eq!(part(None, 100), Part::Whole);
        assert_eq!(part(Some("bytes=0-"), 0), Part::Beyond);
        assert_eq!(part(Some("bytes=-5"), 0), Part::Beyond);
    }
}
