//! Where the value of a secret is (text, `env:NAME`, `file:/path`), and how it is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest value of a secret that is read from a variable or a file, in bytes.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// Why a secret has no value. Texts contain the name of the variable or the path of the file, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `env:` without a usable name.
    #[error("env: needs the name of an environment variable after it, such as env:WHATSAPP_TOKEN")]
    Name,
    /// `file:` without an absolute path.
    #[error("file: needs an absolute path after it, such as file:/run/secrets/whatsapp-token")]
    Path,
    /// There is no such environment variable.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The file cannot be opened or read.
    #[error("the file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// What was found is no value.
    #[error("{place} {problem}")]
    Unusable {
        /// Which variable or file.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// In the configuration itself.
    Literal,
    Variable(String),
    File(PathBuf),
}

impl Reference {
    pub(super) fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Variable(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(path.into())
        } else {
            Self::Literal
        }
    }

    /// The value; `None` for a literal, which has it already.
    pub(super) fn read(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, SecretError> {
        let (place, bytes) = match self {
            Self::Literal => return Ok(None),
            Self::Variable(name) if name.is_empty() || name.contains(['=', '\0', ' ']) => {
                return Err(SecretError::Name);
            }
            Self::Variable(name) => {
                let value = variable(name).ok_or_else(|| SecretError::Unset(name.clone()))?;
                (format!("the environment variable {name}"), value.into_encoded_bytes())
            }
            Self::File(path) if !path.is_absolute() => return Err(SecretError::Path),
            Self::File(path) => (format!("the file {}", path.display()), read_file(path)?),
        };
        usable(bytes).map(Some).map_err(|problem| SecretError::Unusable { place, problem })
    }
}

/// At most one byte more than a secret may have.
fn read_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.display().to_string(), source };
    // Checked before it is opened: opening a named pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn usable(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(format!("has more than {MAX_SECRET_BYTES} bytes"));
    }
    // Editors and `echo` end a file with a newline that is no part of the value.
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<String>, SecretError> {
        Reference::parse(text).read(|name| (name == "SET").then(|| "value\n".into()))
    }

    #[test]
    fn forms_are_told_apart_by_their_prefix() {
        assert_eq!(Reference::parse("plain"), Reference::Literal);
        assert_eq!(Reference::parse("amqp://u:p@host"), Reference::Literal);
        assert_eq!(read("plain").expect("a literal"), None);
        assert_eq!(read("env:SET").expect("set").as_deref(), Some("value"));
        assert!(matches!(read("env:"), Err(SecretError::Name)));
        assert!(matches!(read("env:TWO WORDS"), Err(SecretError::Name)));
        assert!(matches!(read("env:UNSET"), Err(SecretError::Unset(_))));
        assert!(matches!(read("file:relative"), Err(SecretError::Path)));
        assert!(matches!(read("file:/no/such/file"), Err(SecretError::Unreadable { .. })));
        assert!(matches!(read("file:/proc"), Err(SecretError::Unreadable { .. })), "a directory");
    }

    #[test]
    fn what_is_in_a_file_is_checked_before_it_is_a_value() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        let text = format!("file:{}", path.display());
        let with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a file");
            read(&text)
        };
        for (bytes, value) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(with(bytes.as_bytes()).expect("usable").as_deref(), Some(value), "{bytes:?}");
        }
        let most = vec![b'a'; MAX_SECRET_BYTES];
        assert!(with(&most).is_ok());
        for bytes in [&b""[..], b"\n", b"\xff\xfe", &[&most[..], b"a"].concat()] {
            assert!(matches!(with(bytes), Err(SecretError::Unusable { .. })));
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        std::fs::write(&path, "linked").expect("a file");
        // Kubernetes gives out secrets as links.
        assert_eq!(read(&format!("file:{}", link.display())).expect("usable").as_deref(), Some("linked"));
    }
}
