//! The object store, which has assets, originals and manifests.
//!
//! [`Store`] is what the rest of the program uses. A [`Backend`] is one kind of store, in a folder of its own; which
//! one serves an address is decided in `resolver`, and what an address means in [`Location`]. `tests/it/store/contract`
//! puts every backend through one suite.

#[cfg(feature = "azure")]
mod azure;
mod backend;
#[cfg(feature = "catalog")]
mod cdn;
mod copy;
mod deletion;
mod digest;
mod error;
#[cfg(feature = "gcp")]
mod gcs;
pub mod keys;
mod lifecycle;
mod local;
mod read;
mod requests;
mod resolver;
#[cfg(any(feature = "gcp", feature = "azure"))]
mod rest;
mod s3;
mod tiers;
mod types;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

pub use backend::{Account, Backend, ObjectReader};
pub use copy::{Copied, Copy};
pub use deletion::{Deletion, Known, Lock, Versions};
pub use error::StoreError;
pub use keys::Folder;
pub use lifecycle::lifecycle;
pub use requests::put_requests;
pub use tiers::Tiers;
pub use types::{Cursor, Head, Link, LinkOptions, Listed, Page, Purged, PutOptions, SignedUrl, Stored, Version};

#[cfg(feature = "media")]
pub(crate) use resolver::s3_account;

use crate::config::Location;
use local::Local;

/// The most that [`Store::get`] and [`Store::get_range`] read into memory. Manifests are a thousandth of this.
pub const MAX_GET_BYTES: u64 = 16 << 20;

/// The most objects of one [`Page`]: S3's limit.
pub const MAX_PAGE: usize = 1000;

/// The longest life of a signed link: that of Signature Version 4 on S3 and Google Cloud Storage.
pub const MAX_LINK_LIFE: Duration = Duration::from_secs(604_800);

/// What is put on a condition may be replaced under its key: nobody is to take an old copy for it.
fn changing(options: PutOptions<'_>) -> PutOptions<'_> {
    PutOptions { cache_control: options.cache_control.or(Some("private, no-cache")), ..options }
}

/// An object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    location: Arc<Location>,
    tiers: Tiers,
    #[cfg(feature = "catalog")]
    signer: Option<Arc<dyn cdn::Signer>>,
}

impl Store {
    /// The store that the configuration names: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `file:///directory`. Talks to no server yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the configuration cannot be understood.
    pub async fn connect(config: &crate::config::Store) -> Result<Self, StoreError> {
        let location = Location::parse(&config.url).map_err(|err| StoreError::Config(format!("store.url: {err}")))?;
        let backend = resolver::backend(&location, config).await?;
        let tiers = Tiers::new(&location, config)?;
        Ok(Self {
            backend,
            location: Arc::new(location),
            tiers,
            #[cfg(feature = "catalog")]
            signer: None,
        })
    }

    /// A store in a directory, which has to exist.
    pub fn local(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let location = Arc::new(Location::Local { root: root.clone() });
        Self {
            backend: Arc::new(Local::new(root)),
            location,
            tiers: Tiers::default(),
            #[cfg(feature = "catalog")]
            signer: None,
        }
    }

    /// The same store, whose links are those of `links.signer` where there is one: of a content delivery network before it.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the signer's key cannot be read.
    #[cfg(feature = "catalog")]
    pub fn with_links(self, links: &crate::config::Links) -> Result<Self, StoreError> {
        Ok(Self { signer: cdn::signer(links)?, ..self })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The store's address for people and logs; has no secrets.
    #[must_use]
    pub fn url_for_display(&self) -> String {
        self.location.to_string()
    }

    /// Where the objects of one media file go.
    #[must_use]
    pub fn folder(&self, tenant: &str, media_id: &str) -> Folder {
        Folder::new(self.location.prefix(), tenant, media_id)
    }

    /// Key of an object that is no media: of what manifests cannot give, such as consent, holds and tombstones. Each part
    /// becomes one segment of the key.
    #[must_use]
    pub fn catalog_key(&self, parts: &[&str]) -> String {
        keys::catalog(self.location.prefix(), parts)
    }

    /// The key for a file that is put here to be picked up as an origin.
    #[must_use]
    pub fn inbox_key(&self, id: &str, file_name: &str) -> String {
        keys::inbox(self.location.prefix(), id, file_name)
    }

    /// What the keys of all files begin with that wait under this id to be picked up.
    #[must_use]
    pub fn inbox_folder(&self, id: &str) -> String {
        keys::inbox_folder(self.location.prefix(), id)
    }

    /// Stores a file. An object that was there is replaced as a whole.
    ///
    /// # Errors
    /// [`StoreError`]; then the object is as it was before, or the new one as a whole.
    pub async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        keys::vet(key)?;
        self.backend.put_file(key, path, options).await
    }

    /// Stores a file as `object` of a media, under a key that has the SHA-256 of its bytes in it. Where that key exists and
    /// has these bytes, nothing is written. Its storage class is that of `store.class`, where it is one that has it.
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
        let size_bytes = tokio::fs::metadata(path).await.map_err(StoreError::Scratch)?.len();
        let kept = options.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        let class = self.tiers.class_of(object, size_bytes, kept);
        let options = PutOptions { storage_class: options.storage_class.or(class), ..options };
        self.backend.put_addressed(folder, object, path, options).await
    }

    /// Stores a few bytes, as [`Store::put_file`] does.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        keys::vet(key)?;
        self.backend.put_bytes(key, bytes, options).await
    }

    /// Stores a few bytes where there is no such object yet: of several at the same time one is stored. Whether it was this
    /// one. On an S3 server without conditional writes (`If-None-Match: *`) the last one is stored.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<bool, StoreError> {
        keys::vet(key)?;
        self.backend.put_new(key, bytes, changing(options)).await
    }

    /// Replaces an object that still is as it was read. Whether it was: of several who replace the same version one does.
    /// On an S3 server without conditional writes (`If-Match`) all do, and the last one stays; [`Backend::replace`] says
    /// what an erase does about it.
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
        keys::vet(key)?;
        self.backend.replace(key, bytes, changing(options), read).await
    }

    /// Begins to read an object, or a part of it, in pieces; nothing where there is no such object. The part may end beyond
    /// the last byte.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Range`] where the part begins after the last byte.
    pub async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Box<dyn ObjectReader>>, StoreError> {
        keys::vet(key)?;
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(StoreError::invalid("read a range of an object", "the range is empty"));
        }
        self.backend.open(key, range).await
    }

    /// A small object's bytes; nothing where there is no such object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::TooLarge`] above [`MAX_GET_BYTES`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_versioned(key).await?.map(|(bytes, _)| bytes))
    }

    /// A small object's bytes, and which version of it they are, for [`Store::replace`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_versioned(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let Some(mut reader) = self.open(key, None).await? else { return Ok(None) };
        read::within(reader.size_bytes().unwrap_or(0), MAX_GET_BYTES)?;
        let bytes = read::into_memory(&mut *reader, MAX_GET_BYTES).await?;
        let version = reader.version().unwrap_or_else(|| Version::of_bytes(&bytes));
        Ok(Some((bytes, version)))
    }

    /// The bytes of an object from `range.start` to before `range.end`, fewer where the object ends sooner; nothing where
    /// there is no such object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Range`] where the range begins after the last byte, [`StoreError::TooLarge`] where it
    /// has more than [`MAX_GET_BYTES`].
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let length = range.end.saturating_sub(range.start);
        read::within(length, MAX_GET_BYTES)?;
        let Some(mut reader) = self.open(key, Some(range)).await? else { return Ok(None) };
        read::into_memory(&mut *reader, length).await.map(Some)
    }

    /// Copies an object of at most `limit_bytes` into a file, which is created or emptied; nothing where there is no such
    /// object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::TooLarge`] above the limit, [`StoreError::Scratch`] where the file cannot be written.
    pub async fn get_file(&self, key: &str, path: &Path, limit_bytes: u64) -> Result<Option<Stored>, StoreError> {
        let Some(mut reader) = self.open(key, None).await? else { return Ok(None) };
        read::within(reader.size_bytes().unwrap_or(0), limit_bytes)?;
        let (size_bytes, sha256) = read::into_file(&mut *reader, path, limit_bytes).await?;
        Ok(Some(Stored { key: key.to_owned(), size_bytes, sha256 }))
    }

    /// What is known of an object without reading it; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        keys::vet(key)?;
        self.backend.head(key).await
    }

    /// At most `limit` objects (1 to [`MAX_PAGE`]) whose keys begin with `prefix`, from the first one after the cursor on, in
    /// an order that the store keeps. The prefix is text, not a folder: `a/1` also begins `a/10/x`, so that
    /// [`Folder::prefix`] is what lists one media.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is left out silently.
    pub async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        if !prefix.is_empty() {
            keys::vet(prefix)?;
        }
        self.backend.list(prefix, after, limit.clamp(1, MAX_PAGE)).await
    }

    /// Removes an object; fine where there is none. A bucket that keeps versions keeps the old ones.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        keys::vet(key)?;
        self.backend.delete(key).await
    }

    /// Removes an object with all that a bucket with versions keeps of it, and makes sure that nothing is left: older
    /// versions, marks of earlier deletions, uploads that were never completed. How many versions and marks were removed.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left, and the call is to be repeated.
    pub async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        keys::vet(key)?;
        self.backend.delete_all_versions(key).await
    }

    /// Removes everything whose key begins with `prefix`, with all that a bucket with versions keeps of it, and makes sure that
    /// nothing is left. The object `keep` alone stays, in its current version only. What was removed. The prefix ends with a
    /// slash, as [`Folder::prefix`] does: it is a folder and no beginning of a name.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left, and the call is to be repeated. [`StoreError::Invalid`] for another prefix.
    pub async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        keys::vet(prefix)?;
        if !prefix.ends_with('/') {
            return Err(StoreError::invalid("remove a folder of objects", "its name must end with a slash"));
        }
        self.backend.purge(prefix, keep).await
    }

    /// How somebody without credentials gets an object for a while. The object is not looked for.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the life of the link is not 1 second to [`MAX_LINK_LIFE`].
    pub async fn signed_url(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        keys::vet(key)?;
        if !(Duration::from_secs(1)..=MAX_LINK_LIFE).contains(&options.expires_in) {
            return Err(StoreError::invalid("sign a link", "its life must be 1 second to 7 days"));
        }
        #[cfg(feature = "catalog")]
        if let Some(signer) = &self.signer {
            return signer.sign(key, options, SystemTime::now()).map(Link::Signed);
        }
        self.backend.signed_url(key, options).await
    }

    /// Whether the store answers and lets us read: for readiness. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.get(&keys::check(self.location.prefix())).await.map(drop)
    }

    /// Whether the store takes objects: for `doctor`. Leaves one small object behind, always the same.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong.
    pub async fn check_write(&self) -> Result<(), StoreError> {
        let key = keys::check(self.location.prefix());
        self.put_bytes(&key, Bytes::from_static(b"mediamill\n"), PutOptions::of("text/plain")).await.map(drop)
    }

    /// What the store does with objects that are deleted: for `doctor`.
    ///
    /// # Errors
    /// [`StoreError`]; a missing permission is none.
    pub async fn deletion(&self) -> Result<Deletion, StoreError> {
        self.backend.deletion(&keys::below(self.location.prefix(), "")).await
    }

    /// Waits until uploads whose future was dropped are aborted, for 10 s at most. To be awaited before the runtime ends, or
    /// their parts stay in the bucket and are billed.
    pub async fn wait_for_aborts(&self) {
        self.backend.wait_for_aborts().await;
    }

    /// Removes what killed workers left half written in a directory, in the background. On S3 each upload does that for its
    /// own key.
    pub fn sweep(&self) {
        self.backend.sweep();
    }

    /// What the store's credentials reach beside its own bucket; nothing where the store is a directory.
    pub(crate) fn account(&self) -> Option<Arc<dyn Account>> {
        self.backend.account()
    }
}
