//! The pages that people see: one for a media, one for the media of a contact, one for operators. Each is one HTML document without a request to
//! anybody else: style and script stand in it, and its policy admits these by their hashes and nothing else. What comes from
//! outside (names, texts) is escaped, wherever it stands.

mod account;
mod html;
mod media;
mod operations;
mod timeline;
mod waveform;

pub(super) use account::account_page;
pub(super) use media::{Facts, media_page};
pub(super) use operations::{Begun, DeadLetterQueue, Operations, operations_page};
pub(super) use timeline::{Entry, Timeline, timeline_page};
pub(super) use waveform::bars;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// `Content-Security-Policy` of a page. Media and pictures may come from the store's own origin, where links lead there;
/// `ancestors` are the origins that may show it in a frame.
pub(super) fn policy(store: Option<&str>, ancestors: &[String]) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let media = store.map_or_else(|| "'self'".to_owned(), |store| format!("'self' {store}"));
    let frames = if ancestors.is_empty() { "'none'".to_owned() } else { ancestors.join(" ") };
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src {media}; media-src {media}; \
         form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )
}

/// A whole document.
fn document(title: &str, body: &str) -> String {
    let title = html::text(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests;
