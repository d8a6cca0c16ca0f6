//! A request as it came, and what is said to it.

/// A request before anything of it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whether it is a GET: everything else is taken as a POST.
    pub is_get: bool,
    /// The URL that the provider called, as it wrote it: the configured public URL with the raw path and query.
    pub url: &'a str,
    /// Names in lower case, values as they came. A name may occur more than once.
    pub headers: &'a [(String, Vec<u8>)],
    /// The raw body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The value of a header that is there once and is printable ASCII. A header that occurs twice has no value: whoever
    /// sends it a second time may hope that somebody reads the first and somebody else the last.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        let value = values.next().filter(|_| values.next().is_none())?;
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
    }

    /// The raw query without its question mark; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &'a str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }

    /// Parameters of the query, decoded.
    pub fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        url::form_urlencoded::parse(self.query().as_bytes()).into_owned()
    }

    /// The one value of a parameter of the query; nothing where it occurs twice.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut values = self.parameters().filter(|(other, _)| other == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Why a request is not taken for the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// No key is configured for this account, so nothing can be verified.
    #[error("no key is configured to verify webhooks of this account with")]
    Unconfigured,
    /// There is no signature, or not exactly one.
    #[error("the request has no signature")]
    Unsigned,
    /// The signature, or what belongs to it, cannot be read; or its algorithm is not one that is accepted.
    #[error("the signature of the request cannot be read")]
    Unreadable,
    /// Some other key, URL or body was signed.
    #[error("the signature is not that of this request")]
    Wrong,
    /// It was signed too long ago, or is not valid yet.
    #[error("the signature is outside of its time")]
    Stale,
}

impl Denied {
    /// The word used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Unsigned => "unsigned",
            Self::Unreadable => "unreadable",
            Self::Wrong => "wrong",
            Self::Stale => "stale",
        }
    }
}

/// Why a verified request is no webhook. Texts never carry a value of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is not JSON (or is nested deeper than 128 levels).
    #[error("the body is not JSON ({0})")]
    Json(String),
    /// JSON, or a form, of another shape.
    #[error("the body is no webhook of this provider: {0}")]
    Shape(&'static str),
    /// More than [`super::MAX_UPDATES`].
    #[error("the webhook tells of more than {} messages", super::MAX_UPDATES)]
    TooMany,
}

/// An answer, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; none where there is no body.
    pub content_type: Option<&'static str>,
    /// Body.
    pub body: String,
}

impl Reply {
    /// 200 without a body.
    pub const OK: Self = Self { status: 200, content_type: None, body: String::new() };

    /// 200 with a text that no browser takes for HTML.
    #[must_use]
    pub const fn text(body: String) -> Self {
        Self { status: 200, content_type: Some("text/plain; charset=utf-8"), body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_occurs_twice_has_no_value() {
        let headers: Vec<_> = [("a", "1"), ("b", "1"), ("b", "1"), ("c", "\u{e9}")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .into();
        let request = Request { is_get: true, url: "https://h/p?x=1&y=1&y=2&z=a+b%21", headers: &headers, body: b"" };
        assert_eq!((request.header("a"), request.header("b"), request.header("c")), (Some("1"), None, None));
        assert_eq!(request.query(), "x=1&y=1&y=2&z=a+b%21");
        let parameter = |name| request.parameter(name);
        assert_eq!((parameter("x").as_deref(), parameter("y"), parameter("q")), (Some("1"), None, None));
        assert_eq!(parameter("z").as_deref(), Some("a b!"));
    }
}
