//! `multipart/form-data` (RFC 7578), written whole.

use bytes::Bytes;

/// A part with its bytes.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    pub(super) name: &'a str,
    pub(super) file_name: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) bytes: Bytes,
}

/// The content type with its boundary, and the body. The boundary is one that stands in none of the parts.
pub(super) fn write(parts: &[Filled<'_>]) -> (String, Bytes) {
    let mut boundary = boundary();
    while parts.iter().any(|part| contains(&part.bytes, boundary.as_bytes())) {
        boundary = self::boundary();
    }
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.bytes.len() + 300).sum());
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(disposition(part).as_bytes());
        if let Some(content_type) = part.content_type {
            body.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(&part.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

fn disposition(part: &Filled<'_>) -> String {
    let mut text = format!("Content-Disposition: form-data; name=\"{}\"", escape(part.name));
    if let Some(name) = part.file_name {
        text.push_str(&format!("; filename=\"{}\"", escape(name)));
    }
    text.push_str("\r\n");
    text
}

/// As browsers write it (<https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data>).
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn boundary() -> String {
    format!("mediamill-{:032x}", rand::random::<u128>())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_boundaries_with_their_own_types() {
        let parts = [
            Filled { name: "json", file_name: None, content_type: Some("application/json"), bytes: "{}".into() },
            Filled {
                name: "file",
                file_name: Some("a\"b\r\n.mp3"),
                content_type: Some("audio/mpeg"),
                bytes: Bytes::from_static(b"\0\xff"),
            },
        ];
        let (content_type, body) = write(&parts);
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
        let expected = [
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"json\"\r\n").into_bytes(),
            b"Content-Type: application/json\r\n\r\n{}\r\n".to_vec(),
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; ").into_bytes(),
            b"filename=\"a%22b%0D%0A.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\0\xff\r\n".to_vec(),
            format!("--{boundary}--\r\n").into_bytes(),
        ];
        assert_eq!(body, expected.concat());
        assert_ne!(write(&parts).0, content_type, "another boundary each time");
    }
}
