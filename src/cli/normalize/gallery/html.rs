//! Writes HTML from text that customers wrote: all of it is escaped.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Keys consist of unreserved characters, `%` and `/`. In a URL the `%` must be encoded.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Escapes text for element contents and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// The relative URL of an object; the page is stored next to the keys.
pub(super) fn href(key: &str) -> String {
    // It is never taken for a URL with a scheme, because a colon in the first segment is percent-encoded.
    utf8_percent_encode(key, KEY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_stays_inside_its_element() {
        assert_eq!(escape("<a href='\"&\">"), "&lt;a href=&#39;&quot;&amp;&quot;&gt;");
        assert_eq!(href("local/a%20b.ogg/audio.mp3"), "local/a%2520b.ogg/audio.mp3");
        assert_eq!(href("javascript:x?#"), "javascript%3Ax%3F%23");
    }
}
