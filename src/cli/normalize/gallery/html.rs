//! Writes HTML from text that customers wrote: every text is escaped.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Keys are of unreserved characters, `%` and `/`; only the second may stand in a URL as it is.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Text for element contents and quoted attributes.
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

/// An object's address, from the page that stands beside the store's keys.
pub(super) fn href(key: &str) -> String {
    // Never a scheme: a first segment has no colon, since it is percent-encoded.
    utf8_percent_encode(key, KEY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(escape("<a href='\"&\">"), "&lt;a href=&#39;&quot;&amp;&quot;&gt;");
        assert_eq!(href("local/a%20b.ogg/audio.mp3"), "local/a%2520b.ogg/audio.mp3");
        assert_eq!(href("javascript:x?#"), "javascript%3Ax%3F%23");
    }
}
