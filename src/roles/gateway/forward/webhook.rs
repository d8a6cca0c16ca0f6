//! A webhook as it came: in a message of a queue, and as a request to a target.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::broker::{Delivery, Message, Topology, WorkQueue};
use crate::egress::{EgressError, Method, Request};

/// Headers of the message. The headers of the webhook are lines of one of them, because a name may occur more than once.
const METHOD: &str = "webhook-method";
const QUERY: &str = "webhook-query";
const HEADERS: &str = "webhook-headers";
const TIME: &str = "webhook-time";

/// Headers of the connection that the webhook came over (RFC 9110, 7.6.1), and those that the next request has of its own.
const LEFT_OUT: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A verified webhook that is passed on. `Debug` shows its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whether it is a GET, and a POST otherwise.
    pub is_get: bool,
    /// The raw query, without its question mark.
    pub query: String,
    /// Names in lower case, values as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The raw body.
    pub body: Bytes,
    /// When it came.
    pub received_at: Timestamp,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// How long ago it came; nothing where that is in the future.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.received_at)).unwrap_or(Duration::ZERO)
    }

    /// A message for a target's queue.
    pub(in crate::roles::gateway) fn message(&self, topology: &Topology, queue: WorkQueue) -> Message {
        let mut lines = Vec::new();
        for (name, value) in &self.headers {
            if !LEFT_OUT.contains(&name.as_str()) {
                lines.extend_from_slice(name.as_bytes());
                lines.push(b':');
                lines.extend_from_slice(value);
                lines.push(b'\n');
            }
        }
        let method: &[u8] = if self.is_get { b"GET" } else { b"POST" };
        let time = self.received_at.to_string();
        let headers =
            [(METHOD, method), (QUERY, self.query.as_bytes()), (HEADERS, lines.as_slice()), (TIME, time.as_bytes())];
        Message::direct(topology, queue, &headers, self.body.clone())
    }

    /// The webhook of a message; nothing where it is none.
    pub(in crate::roles::gateway) fn read(delivery: &Delivery) -> Option<Self> {
        let text = |name| std::str::from_utf8(delivery.header_bytes(name)?).ok();
        Some(Self {
            is_get: text(METHOD)? == "GET",
            query: text(QUERY)?.to_owned(),
            headers: lines(delivery.header_bytes(HEADERS)?)?,
            body: Bytes::copy_from_slice(delivery.body()),
            received_at: text(TIME)?.parse().ok()?,
        })
    }

    /// The request to a target: the webhook's query stands behind the target's own.
    pub(super) fn request(&self, url: &str) -> Result<Request, EgressError> {
        let url = match (self.query.as_str(), url.contains('?')) {
            ("", _) => url.to_owned(),
            (query, true) => format!("{url}&{query}"),
            (query, false) => format!("{url}?{query}"),
        };
        let method = if self.is_get { Method::Get } else { Method::Post };
        let mut request = Request::new(method, url).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header_bytes(name, value)?;
        }
        Ok(request)
    }
}

/// A header cannot hold the character that ends a line here, and its name cannot hold a colon.
fn lines(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8(line[..colon].to_vec()).ok()?, line[colon + 1..].to_vec()))
    };
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written_and_a_line_without_a_colon_is_none() {
        let read = lines(b"a:1:2\nb:\xe9\na:\n").expect("headers");
        let expected: [(&str, &[u8]); 3] = [("a", b"1:2"), ("b", b"\xe9"), ("a", b"")];
        assert!(read.iter().map(|(name, value)| (name.as_str(), value.as_slice())).eq(expected), "{read:?}");
        assert_eq!(lines(b"a"), None);
    }

    #[test]
    fn the_query_stands_behind_that_of_the_target() {
        let webhook = |query: &str| Webhook {
            is_get: true,
            query: query.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            received_at: Timestamp::UNIX_EPOCH,
        };
        // `Debug` of a request shows no URL, so that the texts are compared by what is refused: nothing is.
        assert!(webhook("b=2").request("https://inbox.example/x?a=1").is_ok());
        assert_eq!(webhook("").age(Timestamp::UNIX_EPOCH), Duration::ZERO);
        assert!(!format!("{:?}", webhook("secret")).contains("secret"));
    }
}
