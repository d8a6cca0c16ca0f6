//! A request as data: it can be shown, and it can be sent.

use serde_json::Value;

use crate::egress::Method;

/// A request without what authorizes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers besides the content type and what authorizes.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    None,
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// `multipart/form-data` (RFC 7578): the parts in their order.
    Multipart(Vec<Part>),
    /// A file as it is.
    File(FileRef),
    /// Text of this content type, byte by byte.
    Text(String, String),
}

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// What it holds.
    pub content: PartContent,
}

/// What a part of a form holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartContent {
    /// A plain value.
    Text(String),
    /// A value of this content type.
    Typed(String, String),
    /// A file.
    File(FileRef),
}

/// A file of the object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Its key in the store.
    pub key: String,
    /// The name that it has at the destination.
    pub file_name: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Body::None }
    }

    /// A request with a JSON body.
    #[must_use]
    pub fn json(method: Method, url: impl Into<String>, body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::new(method, url) }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// As people read it: method, URL, headers, body. Files are named and not shown.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = format!("{} {}\n", method(self.method), self.url);
        let mut line = |line: String| text.push_str(&format!("{line}\n"));
        for (name, value) in &self.headers {
            line(format!("{name}: {value}"));
        }
        match &self.body {
            Body::None => {}
            Body::Json(value) => line(format!("content-type: application/json\n\n{value:#}")),
            Body::Form(pairs) => {
                line("content-type: application/x-www-form-urlencoded\n".to_owned());
                pairs.iter().for_each(|(name, value)| line(format!("{name}={value}")));
            }
            Body::Multipart(parts) => {
                line("content-type: multipart/form-data\n".to_owned());
                parts.iter().for_each(|part| line(part.show()));
            }
            Body::File(file) => line(format!("content-type: {}\n\n{}", file.mime_type, file.show())),
            Body::Text(content_type, body) => line(format!("content-type: {content_type}\n\n{body}")),
        }
        text
    }
}

impl Part {
    /// A plain value.
    #[must_use]
    pub fn text(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), content: PartContent::Text(value.into()) }
    }

    /// A JSON value with its content type.
    #[must_use]
    pub fn json(name: &str, value: &Value) -> Self {
        let content = PartContent::Typed("application/json".to_owned(), value.to_string());
        Self { name: name.to_owned(), content }
    }

    /// A file.
    #[must_use]
    pub fn file(name: &str, file: FileRef) -> Self {
        Self { name: name.to_owned(), content: PartContent::File(file) }
    }

    fn show(&self) -> String {
        match &self.content {
            PartContent::Text(text) => format!("{}: {text}", self.name),
            PartContent::Typed(content_type, text) => format!("{} ({content_type}): {text}", self.name),
            PartContent::File(file) => format!("{} ({}): {}", self.name, file.mime_type, file.show()),
        }
    }
}

impl FileRef {
    fn show(&self) -> String {
        format!("<{} of {} bytes, from {}>", self.file_name, self.size_bytes, self.key)
    }
}

/// The method's name.
#[must_use]
pub const fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_shown_whole_but_for_the_bytes_of_files() {
        let file = FileRef {
            key: "acme/m1/00/audio.mp3".to_owned(),
            file_name: "note.mp3".to_owned(),
            mime_type: "audio/mpeg".to_owned(),
            size_bytes: 7,
        };
        let parts =
            vec![Part::text("folderPath", "/m"), Part::json("options", &json!({ "a": 1 })), Part::file("file", file)];
        let call = Call { body: Body::Multipart(parts), ..Call::new(Method::Post, "https://api.example/files") };
        let shown = call.header("x-one", "1").show();
        let expected = "POST https://api.example/files\nx-one: 1\ncontent-type: multipart/form-data\n\nfolderPath: /m\n\
                        options (application/json): {\"a\":1}\n\
                        file (audio/mpeg): <note.mp3 of 7 bytes, from acme/m1/00/audio.mp3>\n";
        assert_eq!(shown, expected);
        let call = Call::json(Method::Patch, "https://api.example/1", json!({ "b": [2] }));
        assert!(
            call.show().ends_with("content-type: application/json\n\n{\n  \"b\": [\n    2\n  ]\n}\n"),
            "{}",
            call.show()
        );
    }
}
