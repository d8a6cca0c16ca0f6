//! The object store: where assets, originals and manifests end up.
//!
//! Two backends, one behaviour (`tests/it/store.rs` runs one suite over all of them): an object is either there as a
//! whole, with the SHA-256 that [`Stored`] says, or it is not there. Keys are relative to the bucket or directory.
//!
//! What S3 takes is boxed: the SDK's futures have tens of kilobytes, and a job's would have them several times over.

mod error;
pub mod keys;
mod local;
mod s3;

use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use error::StoreError;
pub use keys::Folder;

pub(crate) use s3::Remote;

use local::Local;
use s3::S3;

/// The most that [`Store::get`] reads into memory. Manifests are a thousandth of this.
pub const MAX_GET_BYTES: u64 = 16 << 20;

/// What a new object is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions<'a> {
    /// MIME type.
    pub content_type: &'a str,
    /// `Content-Disposition` (RFC 6266), where a browser is to save the object rather than show it. A directory has none.
    pub content_disposition: Option<&'a str>,
    /// SHA-256 in lower-case hex, where the caller knows it: other bytes are then refused before they are stored.
    pub sha256: Option<&'a str>,
}

impl<'a> PutOptions<'a> {
    /// An object of this MIME type.
    #[must_use]
    pub const fn of(content_type: &'a str) -> Self {
        Self { content_type, content_disposition: None, sha256: None }
    }
}

/// An object that is stored, durably, with a checksum that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's key.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Which contents of a key were read: [`Store::replace`] replaces these and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

#[cfg(test)]
impl Version {
    /// A version of this name.
    pub(crate) fn of(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// An object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    prefix: String,
}

/// Where a store's objects are. Only those below [`keys::INBOX`] may be read as origins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Everything below this directory.
    Directory(&'a Path),
    /// Everything in this bucket, below this prefix where there is one.
    Bucket {
        /// Its name.
        bucket: &'a str,
        /// Without slashes around it.
        prefix: &'a str,
    },
}

#[derive(Debug, Clone)]
enum Backend {
    Local(Local),
    S3(S3),
}

impl Store {
    /// The store that the configuration names: `s3://bucket/prefix` or `file:///directory`. Talks to nobody yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the configuration cannot be understood.
    pub async fn connect(config: &crate::config::Store) -> Result<Self, StoreError> {
        let url = url::Url::parse(&config.url)
            .map_err(|err| StoreError::Config(format!("store.url cannot be read: {err}")))?;
        match url.scheme() {
            "file" => {
                let root = url
                    .to_file_path()
                    .map_err(|()| StoreError::Config("store.url: file:// needs an absolute path".to_owned()))?;
                Ok(Self::local(root))
            }
            "s3" => {
                let (bucket, prefix) = bucket_and_prefix(&url)?;
                Ok(Self { backend: Backend::S3(S3::connect(config, &bucket).await?), prefix })
            }
            other => Err(StoreError::Config(format!("store.url: scheme {other:?} is neither s3 nor file"))),
        }
    }

    /// A store in a directory, which has to exist.
    pub fn local(root: impl Into<PathBuf>) -> Self {
        Self { backend: Backend::Local(Local::new(root.into())), prefix: String::new() }
    }

    /// Where the objects of one media file go.
    #[must_use]
    pub fn folder(&self, tenant: &str, media_id: &str) -> Folder {
        Folder::new(&self.prefix, tenant, media_id)
    }

    /// The key for a file that is put here to be picked up as an S3 origin.
    #[must_use]
    pub fn inbox_key(&self, id: &str, file_name: &str) -> String {
        keys::inbox(&self.prefix, id, file_name)
    }

    /// Stores a file. An object that was there is replaced as a whole.
    ///
    /// # Errors
    /// [`StoreError`]; then the object is as it was before, or the new one as a whole.
    pub async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.put_file(key, path, options).await,
            Backend::S3(s3) => Box::pin(s3.put_file(key, path, options)).await,
        }
    }

    /// Stores a file as `object` of a media, under a key that has the SHA-256 of its bytes in it. Where that key exists and
    /// has these bytes, nothing is written.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.put_addressed(folder, object, path, options).await,
            Backend::S3(s3) => Box::pin(s3.put_addressed(folder, object, path, options)).await,
        }
    }

    /// Stores a few bytes, as [`Store::put_file`] does.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.put_bytes(key, bytes, options).await,
            Backend::S3(s3) => Box::pin(s3.put_bytes(key, bytes, options)).await,
        }
    }

    /// Stores a few bytes where there is no such object yet: of two at the same time one is stored. Whether it was this one.
    /// Where an S3 server knows no conditional writes (`If-None-Match: *`), the last one is.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<bool, StoreError> {
        let stored = match &self.backend {
            Backend::Local(local) => local.put_new(key, bytes, options).await,
            Backend::S3(s3) => Box::pin(s3.put_new(key, bytes, options)).await,
        };
        match stored {
            Ok(()) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// A small object's bytes; nothing where there is no such object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::TooLarge`] above [`MAX_GET_BYTES`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.get(key).await,
            Backend::S3(s3) => Box::pin(s3.get(key)).await,
        }
    }

    /// A small object's bytes, and which version of it they are, for [`Store::replace`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_versioned(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.get_versioned(key).await,
            Backend::S3(s3) => Box::pin(s3.get_versioned(key)).await,
        }
    }

    /// Replaces an object that still is as it was read. Whether it was: of two who replace the same version one does.
    /// Where an S3 server knows no conditional writes (`If-Match`), the last one does.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.replace(key, bytes, options, read).await,
            Backend::S3(s3) => Box::pin(s3.replace(key, bytes, options, read)).await,
        }
    }

    /// Copies an object of at most `limit_bytes` into a file, which is created or emptied; nothing where there is no such
    /// object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::TooLarge`] above the limit, [`StoreError::Scratch`] where the file cannot be written.
    pub async fn get_file(&self, key: &str, path: &Path, limit_bytes: u64) -> Result<Option<Stored>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.get_file(key, path, limit_bytes).await,
            Backend::S3(s3) => Box::pin(s3.get_file(key, path, limit_bytes)).await,
        }
    }

    /// What is known of an object without reading it; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.head(key).await,
            Backend::S3(s3) => Box::pin(s3.head(key)).await,
        }
    }

    /// Removes an object; fine where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.delete(key).await,
            Backend::S3(s3) => Box::pin(s3.delete(key)).await,
        }
    }

    /// Whether the store answers and lets us read: for readiness. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.get(&keys::check(&self.prefix)).await.map(drop)
    }

    /// Whether the store takes objects: for `doctor`. Leaves one small object behind, always the same.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong.
    pub async fn check_write(&self) -> Result<(), StoreError> {
        let options = PutOptions::of("text/plain");
        self.put_bytes(&keys::check(&self.prefix), Bytes::from_static(b"mediamill\n"), options).await.map(drop)
    }

    /// The store's address for people and logs; has no secrets.
    #[must_use]
    pub fn url_for_display(&self) -> String {
        match &self.backend {
            Backend::Local(local) => local.url_for_display(),
            Backend::S3(s3) if self.prefix.is_empty() => format!("s3://{}", s3.bucket()),
            Backend::S3(s3) => format!("s3://{}/{}", s3.bucket(), self.prefix),
        }
    }

    /// Waits until what dropped uploads left behind is cleared away, for 10 s at most. To be awaited before the runtime
    /// ends.
    pub async fn settle(&self) {
        match &self.backend {
            Backend::Local(_) => {}
            Backend::S3(s3) => s3.settle().await,
        }
    }

    /// Removes what killed workers left half written in a directory, in the background. Of S3, each upload does that for its
    /// own key.
    pub fn sweep(&self) {
        match &self.backend {
            Backend::Local(local) => local.sweep(),
            Backend::S3(_) => {}
        }
    }

    /// Where this store's own objects are, and those that wait to be picked up.
    pub(crate) fn place(&self) -> Place<'_> {
        match &self.backend {
            Backend::Local(local) => Place::Directory(local.root()),
            Backend::S3(s3) => Place::Bucket { bucket: s3.bucket(), prefix: &self.prefix },
        }
    }

    /// The bucket that assets go to, and the client for it and for others; nothing where the store is a directory.
    pub(crate) fn remote(&self) -> Option<(&str, &Remote)> {
        match &self.backend {
            Backend::Local(_) => None,
            Backend::S3(s3) => Some((s3.bucket(), s3.remote())),
        }
    }
}

/// `s3://bucket/some/prefix`. Whatever else a URL can hold has no meaning here, and credentials least of all.
fn bucket_and_prefix(url: &url::Url) -> Result<(String, String), StoreError> {
    let wrong = |problem: &str| StoreError::Config(format!("store.url: {problem}"));
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(wrong("s3:// takes a bucket and a prefix, no credentials and no port"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("s3:// takes no query and no fragment"));
    }
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| wrong("s3:// needs a bucket"))?;
    let prefix = percent_encoding::percent_decode_str(url.path()).decode_utf8();
    let prefix = prefix.map_err(|_| wrong("the prefix is not UTF-8"))?;
    Ok((bucket.to_owned(), prefix.trim_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s3_url_is_a_bucket_and_a_prefix() {
        let parse = |text: &str| bucket_and_prefix(&url::Url::parse(text).expect(text)).ok();
        let is = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(parse("s3://b"), is("b", ""));
        assert_eq!(parse("s3://my.bucket_1/"), is("my.bucket_1", ""));
        assert_eq!(parse("s3://b/some/pre%20fix/"), is("b", "some/pre fix"));
        for text in ["s3:///x", "s3://id:secret@b/x", "s3://b:9000/x", "s3://b/x?y", "s3://b/x#y"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
