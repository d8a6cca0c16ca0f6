//! Where a store is. The scheme of `store.url` is decided here and nowhere else: whoever needs to know it matches on
//! [`Location`].

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

/// What a store's URL may be; the end of every message about one that is not.
const EXPECTED: &str = "use s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory";

/// A store's address, as `store.url` gives it. It holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `file:///directory`
    Local {
        /// The directory, as an absolute path below `/`.
        root: PathBuf,
    },
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What all keys begin with, without a slash at either end; may be empty.
        prefix: String,
    },
    /// `gs://bucket/prefix`
    Gcs {
        /// The bucket's name.
        bucket: String,
        /// As that of [`Location::S3`].
        prefix: String,
    },
    /// `az://container/prefix`
    Azure {
        /// The container's name; `store.azure_account` is whose it is.
        container: String,
        /// As that of [`Location::S3`].
        prefix: String,
    },
}

/// Why a text is not the address of a store. Messages never repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is not a URL.
    #[error("is not a URL ({0}); {EXPECTED}")]
    NotAUrl(#[source] url::ParseError),
    /// A store that this program has no backend for.
    #[error("{scheme}:// ({name}) is not built into this program; {EXPECTED}")]
    NotBuilt {
        /// The URL's scheme.
        scheme: &'static str,
        /// The product's name.
        name: &'static str,
    },
    /// A scheme that no store has.
    #[error("no store has the scheme {0:?}; {EXPECTED}")]
    UnknownScheme(String),
    /// The scheme is known, but the rest of the URL cannot be used.
    #[error("{scheme}://: {problem}; {EXPECTED}")]
    Unusable {
        /// The URL's scheme.
        scheme: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Location {
    /// Reads a store's URL.
    ///
    /// # Errors
    /// [`LocationError`] says what is wrong, without a word of the URL but its scheme.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text).map_err(LocationError::NotAUrl)?;
        match url.scheme() {
            "file" => local(&url),
            "s3" => in_bucket("s3", &url).map(|(bucket, prefix)| Self::S3 { bucket, prefix }),
            "gs" if cfg!(feature = "gcp") => in_bucket("gs", &url).map(|(bucket, prefix)| Self::Gcs { bucket, prefix }),
            "az" if cfg!(feature = "azure") => {
                in_bucket("az", &url).map(|(container, prefix)| Self::Azure { container, prefix })
            }
            "gs" => Err(LocationError::NotBuilt { scheme: "gs", name: "Google Cloud Storage" }),
            "az" => Err(LocationError::NotBuilt { scheme: "az", name: "Azure Blob Storage" }),
            other => Err(LocationError::UnknownScheme(other.to_owned())),
        }
    }

    /// Whether both are parts of one bucket, as far as the addresses tell: servers and accounts are not compared.
    #[must_use]
    pub fn is_same_bucket(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::S3 { bucket: one, .. }, Self::S3 { bucket: two, .. })
            | (Self::Gcs { bucket: one, .. }, Self::Gcs { bucket: two, .. })
            | (Self::Azure { container: one, .. }, Self::Azure { container: two, .. }) => one == two,
            _ => false,
        }
    }

    /// What all keys of this store begin with; empty where there is nothing.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::Local { .. } => "",
            Self::S3 { prefix, .. } | Self::Gcs { prefix, .. } | Self::Azure { prefix, .. } => prefix,
        }
    }
}

/// For people and logs.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix) = match self {
            Self::Local { root } => return write!(f, "file://{}", root.display()),
            Self::S3 { bucket, prefix } => ("s3", bucket, prefix),
            Self::Gcs { bucket, prefix } => ("gs", bucket, prefix),
            Self::Azure { container, prefix } => ("az", container, prefix),
        };
        write!(f, "{scheme}://{bucket}{}{prefix}", if prefix.is_empty() { "" } else { "/" })
    }
}

fn local(url: &Url) -> Result<Location, LocationError> {
    let unusable = |problem| LocationError::Unusable { scheme: "file", problem };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable("has a query or a fragment (write ? as %3F and # as %23)"));
    }
    let root = url.to_file_path().map_err(|()| unusable("needs an absolute path of this machine"))?;
    if root.parent().is_none() {
        return Err(unusable("the root of the file system cannot be a store"));
    }
    Ok(Location::Local { root })
}

/// Bucket and prefix.
fn in_bucket(scheme: &'static str, url: &Url) -> Result<(String, String), LocationError> {
    let unusable = |problem| LocationError::Unusable { scheme, problem };
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(unusable(
            "takes no credentials and no port (these have keys of their own, and so has the endpoint)",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable("takes no query and no fragment"));
    }
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| unusable("needs a bucket"))?;
    let prefix = percent_decode_str(url.path()).decode_utf8().map_err(|_| unusable("the prefix is not UTF-8"))?;
    let prefix = prefix.trim_matches('/');
    if prefix.contains(|c: char| c.is_control()) || prefix.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(unusable("the prefix has a control character, or . or .. as a part"));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s3_url_is_a_bucket_and_a_prefix() {
        let is = |bucket: &str, prefix: &str| Ok(Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
        assert_eq!(Location::parse("s3://b"), is("b", ""));
        assert_eq!(Location::parse("s3://my.bucket_1/"), is("my.bucket_1", ""));
        assert_eq!(Location::parse("s3://b/some/pre%20fix/"), is("b", "some/pre fix"));
        let wrong = ["s3:///x", "s3://id:secret@b/x", "s3://b:9000/x", "s3://b/x?y", "s3://b/x#y", "s3://b/a%2F..%2Fc"];
        for text in wrong {
            let error = Location::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("s3://: ") && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_url_is_a_directory() {
        let root = PathBuf::from("/var/lib/media mill");
        assert_eq!(Location::parse("file:///var/lib/media%20mill"), Ok(Location::Local { root }));
        for text in ["file:///", "file://host/x", "file:///x?y", "file:///x#y"] {
            assert!(matches!(Location::parse(text), Err(LocationError::Unusable { scheme: "file", .. })), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_named_and_never_taken_for_s3() {
        for (text, words) in [
            #[cfg(not(feature = "gcp"))]
            ("gs://b/x", "gs:// (Google Cloud Storage) is not built into this program"),
            #[cfg(not(feature = "azure"))]
            ("az://c/x", "az:// (Azure Blob Storage) is not built into this program"),
            ("ftp://id:secret@h/x", "no store has the scheme \"ftp\""),
            ("/var/lib/media", "is not a URL"),
        ] {
            let error = Location::parse(text).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains(EXPECTED) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        let mut known = vec!["s3://b", "s3://b/some/prefix", "file:///var/lib/mediamill"];
        known.extend(cfg!(feature = "gcp").then_some("gs://b/some/prefix"));
        known.extend(cfg!(feature = "azure").then_some("az://c"));
        for text in known {
            assert_eq!(Location::parse(text).expect(text).to_string(), text);
        }
    }
}
