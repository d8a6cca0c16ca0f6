//! `Content-Disposition` (RFC 6266, RFC 8187) with a customer's file name, and which types a browser may show.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 8187's attr-char stay.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');
/// Longest name that is passed on, in characters.
const MAX_NAME: usize = 120;

/// Whether a browser may show it in the catalogue's own name: nothing that could hold a script.
pub(super) fn may_be_shown(mime_type: &str) -> bool {
    let mime_type = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let pictures = ["image/jpeg", "image/png", "image/gif", "image/webp"];
    mime_type.starts_with("audio/")
        || mime_type.starts_with("video/")
        || pictures.contains(&mime_type.as_str())
        || mime_type == "application/json"
}

/// The header's value: saved under this name, or shown.
pub(super) fn disposition(is_saved: bool, name: &str) -> String {
    let word = if is_saved { "attachment" } else { "inline" };
    // Marks that turn the direction of writing make one extension look like another.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_plain = |c: &char| !c.is_control() && !turns(*c) && !"/\\".contains(*c);
    let name: String = name.chars().filter(is_plain).take(MAX_NAME).collect();
    let name = name.trim_matches(['.', ' ']);
    let name = if name.is_empty() { "file" } else { name };
    let plain: String = name.chars().map(|c| if c.is_ascii() && !"\"%;".contains(c) { c } else { '_' }).collect();
    format!("{word}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTRIBUTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_cannot_leave_its_place() {
        for (name, expected) in [
            ("a b.ogg", "attachment; filename=\"a b.ogg\"; filename*=UTF-8''a%20b.ogg"),
            ("ação.pdf", "attachment; filename=\"a__o.pdf\"; filename*=UTF-8''a%C3%A7%C3%A3o.pdf"),
            ("../../etc/passwd", "attachment; filename=\"etcpasswd\"; filename*=UTF-8''etcpasswd"),
            (
                "a\"; evil=\"b\r\nSet-Cookie: c",
                "attachment; filename=\"a__ evil=_bSet-Cookie: c\"; filename*=UTF-8''a%22%3B%20evil%3D%22bSet-Cookie%3A%20c",
            ),
            ("...", "attachment; filename=\"file\"; filename*=UTF-8''file"),
            ("", "attachment; filename=\"file\"; filename*=UTF-8''file"),
        ] {
            assert_eq!(disposition(true, name), expected);
        }
        assert!(disposition(true, &"é".repeat(1000)).len() < 1200);
    }

    #[test]
    fn what_could_hold_a_script_is_saved() {
        for shown in ["audio/mpeg", "video/mp4", "image/jpeg", "image/PNG; q=1", "application/json"] {
            assert!(may_be_shown(shown), "{shown}");
        }
        for saved in ["text/html", "image/svg+xml", "application/pdf", "application/xhtml+xml", "text/xml", ""] {
            assert!(!may_be_shown(saved), "{saved}");
        }
    }
}
