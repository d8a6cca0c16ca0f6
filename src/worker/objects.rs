//! What an object's name says of its type, and what a browser may do with it.
//!
//! Object names are ours; a type that comes with the report comes from a process that read hostile bytes. A thumbnail that
//! was stored as HTML would run scripts where a CRM shows it.

/// The one type of each object that is made.
const MADE: [(&str, &str); 6] = [
    ("audio.mp3", "audio/mpeg"),
    ("audio.m4a", "audio/mp4"),
    ("video.mp4", "video/mp4"),
    ("thumbnail.jpg", "image/jpeg"),
    ("waveform.png", "image/png"),
    ("peaks.json", "application/json"),
];
/// What originals are called, before their extension.
const ORIGINAL: &str = "original.";

/// Types that browsers show by themselves and that run nothing with the rights of the page's address: sound, film and
/// pictures by their family, plain text and JSON as text, PDF in a viewer of its own that has no access to the address.
const SHOWN: [&str; 3] = ["text/plain", "application/json", "application/pdf"];
const SHOWN_FAMILIES: [&str; 3] = ["audio/", "video/", "image/"];

/// The type that an object is stored with: of a made object the one that its name stands for, of an original the one that
/// its first bytes have. Nothing where there is no object of this name.
pub(super) fn content_type_of<'a>(object: &str, sniffed_original_type: &'a str) -> Option<&'a str> {
    if object.starts_with(ORIGINAL) {
        return Some(sniffed_original_type);
    }
    MADE.iter().find(|(name, _)| *name == object).map(|(_, content_type)| *content_type)
}

/// `Content-Disposition` for a type. Whatever is not known to be harmless is saved rather than shown: HTML, SVG, XHTML and
/// XML run scripts with the rights of the address that they are opened from, and tomorrow's browsers may show more.
pub(super) fn content_disposition_of(content_type: &str) -> Option<&'static str> {
    let content_type = content_type.to_ascii_lowercase();
    let family = SHOWN_FAMILIES.iter().any(|family| content_type.starts_with(family));
    // A picture in XML is a document with scripts: image/svg+xml.
    let shown = SHOWN.contains(&content_type.as_str()) || (family && !content_type.contains("xml"));
    (!shown).then_some("attachment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_type_and_an_original_the_one_that_was_sniffed() {
        assert_eq!(content_type_of("thumbnail.jpg", "text/html"), Some("image/jpeg"));
        assert_eq!(content_type_of("peaks.json", "text/html"), Some("application/json"));
        assert_eq!(content_type_of("original.html", "text/html"), Some("text/html"));
        for none in ["manifest.json", "index.html", "original", "audio.mp3.html", ""] {
            assert_eq!(content_type_of(none, "text/html"), None, "{none}");
        }
        assert!(MADE.iter().all(|(_, content_type)| content_disposition_of(content_type).is_none()));
    }

    #[test]
    fn a_report_that_gives_a_thumbnail_another_type_is_refused() {
        let scratch = tempfile::tempdir().expect("a directory");
        std::fs::write(scratch.path().join("thumbnail.jpg"), b"<script>").expect("a file");
        let report = |mime_type: &str| -> crate::sandbox::protocol::Report {
            let produced = serde_json::json!({
                "role": "thumbnail", "file": "thumbnail.jpg", "object": "thumbnail.jpg", "mime_type": mime_type,
                "codecs": [], "width": 1, "height": 1, "duration_ms": null, "bit_rate": null,
            });
            let report = serde_json::json!({
                "kind": "image", "mime_type": "image/png", "extension": "png", "container": "png", "duration_ms": null,
                "streams": [], "created_at": null, "damage": null, "action": "kept-original", "reasons": [],
                "loudness": null, "produced": [produced], "quality": null, "cpu_s": 0.0, "peak_memory_bytes": 0,
                "libav": {}, "sandbox": { "mode": "off", "landlock": "none", "landlock_abi": 0, "seccomp": false },
            });
            serde_json::from_value(report).expect("a report")
        };
        let vet = |mime_type| super::super::assets::vet(&report(mime_type), scratch.path());
        assert_eq!(vet("image/jpeg"), Ok(()));
        for other in ["text/html", "image/svg+xml", "image/png"] {
            assert!(vet(other).is_err(), "{other}");
        }
    }

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
            assert_eq!(content_disposition_of(active), Some("attachment"), "{active}");
        }
        for shown in ["audio/ogg", "video/quicktime", "image/heic", "text/plain", "application/pdf"] {
            assert_eq!(content_disposition_of(shown), None, "{shown}");
        }
    }
}
