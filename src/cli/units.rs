//! Figures and names as people read them.

use std::ffi::OsStr;

use unicode_width::UnicodeWidthChar;

/// `512 B`, `40.2 kB`, `1.31 MB`: three digits that matter, powers of 1000.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(value < 99.95) + usize::from(value < 9.995);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `0:19.8`, `3:07`, `1:02:03`: tenths below a minute.
pub(super) fn clock(ms: u64) -> String {
    if ms < 59_950 {
        let tenths = (ms + 50) / 100;
        return format!("0:{:02}.{}", tenths / 10, tenths % 10);
    }
    let seconds = (ms + 500) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `0.41`: seconds of work.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02}", ms / 1000, ms % 1000 / 10)
}

/// `-12 %` where it grew, `98 %` where next to nothing is left; `0 %` of nothing.
pub(super) fn saved(before: u64, after: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a percentage without decimals")]
    let percent = if before == 0 { 0.0 } else { (1.0 - after as f64 / before as f64) * 100.0 };
    // Without the sign of a negative zero.
    format!("{:.0} %", if percent.abs() < 0.5 { 0.0 } else { percent })
}

/// A name that does no harm to a terminal: control characters, and what turns the direction of text, are written out.
pub(super) fn printable(name: &OsStr) -> String {
    let mut text = String::new();
    for c in name.to_string_lossy().chars() {
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    text
}

/// Columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text, shortened in its middle to at most `most` columns.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    let head = taken(text.chars(), room / 2);
    let tail: String = taken(text.chars().rev(), room - width(&head)).chars().rev().collect();
    format!("{head}…{tail}")
}

fn taken(chars: impl Iterator<Item = char>, most: usize) -> String {
    let mut columns = 0;
    chars
        .take_while(|c| {
            columns += c.width().unwrap_or(0);
            columns <= most
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let shown = [0, 999, 1000, 9_995, 40_169, 999_499, 999_500, 1_310_000, 4_294_967_296].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "10.0 kB", "40.2 kB", "999 kB", "1.00 MB", "1.31 MB", "4.29 GB"]);
    }

    #[test]
    fn lengths_and_savings_read_well() {
        assert_eq!(
            [0, 19_840, 59_949, 59_950, 187_499, 3_723_000].map(clock),
            ["0:00.0", "0:19.8", "0:59.9", "1:00", "3:07", "1:02:03"]
        );
        assert_eq!(seconds(414), "0.41");
        assert_eq!(
            [(100, 2), (100, 112), (0, 5), (1000, 1001)].map(|(b, a)| saved(b, a)),
            ["98 %", "-12 %", "0 %", "0 %"]
        );
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(printable(OsStr::new("a\u{1b}[2J\n\u{202e}b")), "a\\u{1b}[2J\\u{a}\\u{202e}b");
        assert_eq!(shortened("a-very-long-name.ogg", 9), "a-ve….ogg");
        assert_eq!(width(&shortened("語語語語語語", 5)), 5);
    }
}
