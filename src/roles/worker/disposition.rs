//! What a browser may do with a stored object.

/// Types that browsers show by themselves and that run nothing with the rights of the page's address: sound, film and
/// pictures by their family, plain text and JSON as text, PDF in a viewer of its own that has no access to the address.
const SHOWN: [&str; 3] = ["text/plain", "application/json", "application/pdf"];
const SHOWN_FAMILIES: [&str; 3] = ["audio/", "video/", "image/"];

/// `Content-Disposition` (RFC 6266) for an object of this name and type. The name is the object's own, such as `original.pdf`: the
/// customer's may be personal, and is told only where a link is signed.
///
/// Whatever is not known to be harmless is saved rather than shown: HTML, SVG, XHTML and XML run scripts with the rights of the
/// address that they are opened from, and tomorrow's browsers may show more.
pub(super) fn content_disposition_of(object: &str, content_type: &str) -> String {
    let content_type = content_type.to_ascii_lowercase();
    let family = SHOWN_FAMILIES.iter().any(|family| content_type.starts_with(family));
    // A picture in XML is a document with scripts: image/svg+xml.
    let shown = SHOWN.contains(&content_type.as_str()) || (family && !content_type.contains("xml"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = object.chars().filter(|c| plain(*c)).collect();
    format!("{}; filename=\"{name}\"", if shown { "inline" } else { "attachment" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_scripts_is_saved_and_what_people_look_at_is_shown() {
        for active in [
            "text/html",
            "Text/HTML",
            "application/xhtml+xml",
            "image/svg+xml",
            "IMAGE/SVG+XML",
            "text/xml",
            "application/xml",
            "text/javascript",
            "multipart/related",
            "application/octet-stream",
            "application/zip",
            "text/x-unheard-of",
        ] {
            let given = content_disposition_of("original.bin", active);
            assert_eq!(given, "attachment; filename=\"original.bin\"", "{active}");
        }
        for shown in ["audio/ogg", "video/quicktime", "image/heic", "text/plain", "application/pdf"] {
            let given = content_disposition_of("original.\"\r\nx", shown);
            assert_eq!(given, "inline; filename=\"original.x\"", "{shown}");
        }
    }
}
