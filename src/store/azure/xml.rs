//! The few documents of the Blob service that are read. They are made by a program, in one form: elements without a prefix,
//! texts escaped; there is no need for a reader of all of XML.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use super::{Answer, StoreError};
use crate::store::Listed;

/// A blob in a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) name: String,
    size_bytes: u64,
    modified: Option<SystemTime>,
    pub(super) version_id: Option<String>,
    pub(super) is_current: bool,
    pub(super) snapshot: Option<String>,
}

impl Blob {
    pub(super) fn listed(self) -> Listed {
        Listed { key: self.name, size_bytes: self.size_bytes, modified: self.modified }
    }
}

/// The blobs of a list, and the marker of its next page.
pub(super) fn list(action: &'static str, answer: &Answer) -> Result<(Vec<Blob>, Option<String>), StoreError> {
    let unreadable = || StoreError::unavailable(action, "the store's answer is not the list that was asked for");
    let text = std::str::from_utf8(&answer.body).map_err(|_| unreadable())?;
    if !text.trim_end().ends_with("</EnumerationResults>") {
        return Err(unreadable());
    }
    let blobs = elements(text, "Blob").map(blob).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
    Ok((blobs, first(text, "NextMarker").filter(|marker| !marker.is_empty())))
}

/// The text of the first element of this name.
pub(super) fn first(text: &str, name: &str) -> Option<String> {
    elements(text, name).next().and_then(|(_, inner)| unescaped(inner))
}

fn blob((_, inner): (&str, &str)) -> Option<Blob> {
    let (attributes, name) = elements(inner, "Name").next()?;
    let name = unescaped(name)?;
    // Of names with characters that XML does not have.
    let is_encoded = attributes.contains("Encoded=\"true\"");
    let name = if is_encoded { percent_decode_str(&name).decode_utf8().ok()?.into_owned() } else { name };
    let text = |name| first(inner, name).filter(|text| !text.is_empty());
    Some(Blob {
        name,
        size_bytes: text("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0),
        modified: text("Last-Modified").and_then(|text| httpdate::parse_http_date(&text).ok()),
        version_id: text("VersionId"),
        is_current: text("IsCurrentVersion").as_deref() == Some("true"),
        snapshot: text("Snapshot"),
    })
}

/// Attributes and contents of the elements of this name, which never stand in one another.
fn elements<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let after = &rest[rest.find(&open)? + open.len()..];
            let (attributes, inner) = after.split_once('>')?;
            // A longer name that begins like this one, or an element without contents.
            if !(attributes.is_empty() || attributes.starts_with(' ')) || attributes.ends_with('/') {
                rest = after;
                continue;
            }
            let (inner, after) = inner.split_once(&close)?;
            rest = after;
            return Some((attributes, inner));
        }
    })
}

fn unescaped(text: &str) -> Option<String> {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rest::HeaderMap;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    #[test]
    fn a_list_has_blobs_versions_and_the_way_on() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\"><Prefix>a</Prefix>\
            <Blobs><Blob><Name>a&amp;b/&#xFC;</Name><VersionId>v1</VersionId><IsCurrentVersion>true</IsCurrentVersion>\
            <Properties><Last-Modified>Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Content-Length>5</Content-Length>\
            <Content-MD5 /></Properties></Blob><Blob><Name Encoded=\"true\">a%26%ef%bf%bf</Name><Snapshot>s1</Snapshot>\
            <Properties><Content-Length>6</Content-Length></Properties></Blob></Blobs><NextMarker>m</NextMarker>\
            </EnumerationResults>";
        let (blobs, next) = list("test", &answer(text)).expect("a list");
        assert_eq!(next.as_deref(), Some("m"));
        let names: Vec<_> = blobs.iter().map(|blob| (blob.name.as_str(), blob.size_bytes)).collect();
        assert_eq!(names, [("a&b/ü", 5), ("a&\u{ffff}", 6)]);
        assert_eq!((blobs[0].version_id.as_deref(), blobs[0].is_current), (Some("v1"), true));
        assert_eq!((blobs[1].snapshot.as_deref(), blobs[1].is_current), (Some("s1"), false));
        assert!(blobs[0].modified.is_some());
        let end = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        assert_eq!(list("test", &answer(end)).expect("an empty list"), (Vec::new(), None));
        for cut in ["", "<EnumerationResults><Blobs><Blob><Name>a</Name>", "<Error/>"] {
            assert!(list("test", &answer(cut)).is_err(), "{cut}");
        }
        let damaged = "<EnumerationResults><Blob><Name>a&x;</Name></Blob></EnumerationResults>";
        assert!(list("test", &answer(damaged)).is_err());
    }
}
