//! Ids as path segments. Ids come from other people's systems and may hold anything; a segment has unreserved characters only
//! (RFC 3986), so that no proxy, browser or client writes it differently. What is not a letter, a digit, `-`, `.` or `_` is `~`
//! and two hex digits a byte.

/// An id as one path segment. Each id has exactly one, and it is never `.` or `..`, which browsers take for steps.
#[must_use]
pub fn segment(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for (at, byte) in id.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && at > 0);
        if is_plain {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("~{byte:02X}"));
        }
    }
    text
}

/// The id of a segment; nothing where [`segment`] would not have written it.
#[must_use]
pub fn from_segment(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = if *first == b'~' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            after
        } else {
            bytes.push(*first);
            after
        };
    }
    String::from_utf8(bytes).ok().filter(|id| segment(id) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_one_segment() {
        for (id, expected) in [
            ("whatsapp-9f2c", "whatsapp-9f2c"),
            ("", ""),
            (".", "~2E"),
            ("..", "~2E."),
            ("a/b", "a~2Fb"),
            ("a%2Fb", "a~252Fb"),
            ("~", "~7E"),
            ("ü\0\n", "~C3~BC~00~0A"),
        ] {
            assert_eq!(segment(id), expected);
            assert_eq!(from_segment(expected).as_deref(), Some(id));
        }
        for text in ["~", "~2", "~2f", "~41", "~FF", "a/b", "ü", "..", "~GG"] {
            assert_eq!(from_segment(text), None, "{text}");
        }
    }
}
