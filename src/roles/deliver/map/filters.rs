//! Filters that maps have besides those of minijinja.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use sha2::{Digest, Sha256};

use super::phone;

/// Adds them. `region` is the country of numbers without a country code.
pub(super) fn add_to(environment: &mut Environment<'static>, region: &str) {
    let own = region.to_owned();
    environment.add_filter("e164", move |text: String, region: Option<String>| {
        maybe(phone::e164(&text, region.as_deref().unwrap_or(&own)))
    });
    let own = region.to_owned();
    environment.add_filter("national", move |text: String, region: Option<String>| {
        maybe(phone::national(&text, region.as_deref().unwrap_or(&own)))
    });
    environment.add_filter("take", |text: String, most: usize| take(&text, most));
    environment.add_filter("take_bytes", |text: String, most: usize| take_bytes(&text, most));
    environment.add_filter("duration", |ms: i64| duration(ms));
    environment.add_filter("bytes", |bytes: i64| bytes_for_people(bytes));
    environment.add_filter("iso", |text: String| time(&text).map(|time| time.to_string()));
    environment.add_filter("unix_ms", |text: String| time(&text).map(jiff::Timestamp::as_millisecond));
    environment.add_filter("slug", |text: String| slug(&text));
    environment.add_filter("sha256", |text: String| hex::encode(Sha256::digest(text)));
}

fn maybe(text: Option<String>) -> Value {
    text.map_or_else(|| Value::from(()), Value::from)
}

/// At most so many UTF-16 code units, which is what Salesforce and HubSpot are believed to count; with an ellipsis where it is cut.
#[must_use]
pub fn take(text: &str, most: usize) -> String {
    let units = text.encode_utf16().count();
    if units <= most {
        return text.to_owned();
    }
    cut(text, most.saturating_sub(1), char::len_utf16)
}

/// At most so many bytes of UTF-8; with an ellipsis where it is cut.
pub(super) fn take_bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    cut(text, most.saturating_sub('…'.len_utf8()), char::len_utf8)
}

fn cut(text: &str, most: usize, size: impl Fn(char) -> usize) -> String {
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += size(*c);
            used <= most
        })
        .collect();
    format!("{kept}…")
}

/// Minutes and seconds, or hours too: `1:07`, `1:00:07`.
pub(super) fn duration(ms: i64) -> String {
    let seconds = (ms.max(0) + 500) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `912 B`, `107 kB`, `3.4 MB`: powers of ten, as phones show them.
pub(super) fn bytes_for_people(bytes: i64) -> String {
    match bytes.max(0) {
        bytes @ 0..1_000 => format!("{bytes} B"),
        bytes @ 1_000..1_000_000 => format!("{} kB", (bytes + 500) / 1_000),
        bytes => format!("{}.{} MB", (bytes + 50_000) / 1_000_000, (bytes + 50_000) / 100_000 % 10),
    }
}

fn time(text: &str) -> Result<jiff::Timestamp, Error> {
    text.parse().map_err(|_| Error::new(ErrorKind::InvalidOperation, "it is no time (RFC 3339)"))
}

/// Lower case, with hyphens for everything that is no letter and no digit: tags of some CRMs have no spaces.
pub(super) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_by_the_unit_that_is_asked_for() {
        assert_eq!(take("für", 3), "für");
        assert_eq!(take("a🎵b", 3), "a…", "the note takes two units");
        assert_eq!(take("a🎵bc", 4), "a🎵…");
        assert_eq!(take_bytes("für", 4), "für");
        assert_eq!(take_bytes("ffür", 4), "f…");
        assert!(take_bytes("ffür ffür", 6).len() <= 6);
    }

    #[test]
    fn sizes_times_and_tags_are_for_people() {
        assert_eq!([7_400, 67_000, 3_607_000].map(duration), ["0:07", "1:07", "1:00:07"]);
        assert_eq!([912, 107_472, 3_440_000, 999_999].map(bytes_for_people), ["912 B", "107 kB", "3.4 MB", "1000 kB"]);
        assert_eq!(slug("  Première Visite, VIP! "), "première-visite-vip");
    }
}
