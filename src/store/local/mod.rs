//! A directory as an object store. An object is a file: it is written under a temporary name, synced and renamed, and
//! its folder is synced, so that readers and crashes see either the old object or the new one.
//!
//! Names that begin with `.~` belong to this module: temporary files and locks. No key contains such a name, and no
//! list shows one. Lists do not follow symbolic links below the directory; only an operator can create one.

mod list;
mod lock;
mod reader;
mod sweep;
mod write;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::backend::{Backend, ObjectReader, purge_listed};
use super::{Cursor, Deletion, Folder, Head, Link, LinkOptions, Page, Purged, PutOptions, StoreError, Stored, Version};
use lock::FolderLock;
use write::{Existing, NewObject};

/// The beginning of the names of temporary files and locks.
const TEMPORARY: &str = ".~";

#[derive(Debug, Clone)]
pub(super) struct Local {
    root: Arc<Path>,
}

impl Local {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    /// The file of a key. Keys have passed `keys::vet`. In addition each part must be a file name, and none of this
    /// module's own.
    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        if key.split('/').all(is_file_name) {
            return Ok(self.root.join(key));
        }
        Err(StoreError::invalid("use an object key", "in a directory, no part of a key may be empty or begin with .~"))
    }

    async fn put<R: io::Read>(
        &self,
        key: &str,
        options: PutOptions<'_>,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> Result<Stored, StoreError> {
        let (root, target) = (Arc::clone(&self.root), self.path(key)?);
        let (key, expected) = (key.to_owned(), options.sha256.map(str::to_owned));
        blocking(move || {
            let folder = folder_of(&root, &target);
            let new = NewObject::write(&root, folder, open().map_err(StoreError::Scratch)?)?;
            new.expect(expected.as_deref())?;
            let stored = new.stored(key);
            // Whoever replaces this object compares and renames under this lock; this write must not come in between.
            let _lock = FolderLock::take(folder).map_err(failed(write::ACTION))?;
            new.persist(&root, &target, Existing::Replaced)?;
            Ok(stored)
        })
        .await
    }
}

#[async_trait]
impl Backend for Local {
    async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let path = path.to_owned();
        self.put(key, options, move || File::open(path)).await
    }

    async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        self.put(key, options, move || Ok(io::Cursor::new(bytes))).await
    }

    async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let (this, folder, object, path) = (self.clone(), folder.clone(), object.to_owned(), path.to_owned());
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let root = &this.root;
            let from = File::open(path).map_err(StoreError::Scratch)?;
            let new = NewObject::write(root, &this.path(folder.as_str())?, from)?;
            new.expect(expected.as_deref())?;
            let stored = new.stored(folder.key(&new.sha256, &object));
            let target = this.path(&stored.key)?;
            // The key contains the hash of the bytes, so an existing file has the same content, unless somebody has
            // changed it since.
            let is_there = File::open(&target).and_then(write::sha256_of).is_ok_and(|sha256| sha256 == stored.sha256);
            if !is_there {
                new.persist(root, &target, Existing::Replaced)?;
            }
            Ok(stored)
        })
        .await
    }

    async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<bool, StoreError> {
        let (root, target) = (Arc::clone(&self.root), self.path(key)?);
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let new = NewObject::write(&root, folder_of(&root, &target), &*bytes)?;
            new.expect(expected.as_deref())?;
            match new.persist(&root, &target, Existing::Kept) {
                Ok(()) => Ok(true),
                Err(StoreError::Exists { .. }) => Ok(false),
                Err(err) => Err(err),
            }
        })
        .await
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError> {
        const ACTION: &str = "replace an object";
        let (root, target, read) = (Arc::clone(&self.root), self.path(key)?, read.clone());
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let folder = folder_of(&root, &target);
            let Some(_lock) = found(&root, ACTION, FolderLock::take(folder))? else { return Ok(false) };
            let Some(now) = found(&root, ACTION, fs::read(&target))? else { return Ok(false) };
            if Version::of_bytes(&now) != read {
                return Ok(false);
            }
            let new = NewObject::write(&root, folder, &*bytes)?;
            new.expect(expected.as_deref())?;
            new.persist(&root, &target, Existing::Replaced)?;
            Ok(true)
        })
        .await
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>, StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        let opened = blocking(move || reader::open(&root, &path, range)).await?;
        Ok(opened.map(|reader| Box::new(reader) as Box<dyn ObjectReader>))
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || {
            let metadata = found(&root, "look up an object", fs::metadata(&path))?;
            let head = |file: fs::Metadata| Head {
                size_bytes: file.len(),
                modified: file.modified().ok(),
                content_type: None,
                content_disposition: None,
            };
            Ok(metadata.filter(fs::Metadata::is_file).map(head))
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        let after = after.map(|cursor| cursor.as_str().to_owned());
        blocking(move || list::page(&root, &prefix, after.as_deref(), limit)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || remove(&root, &path).map(drop)).await
    }

    /// A directory keeps no versions. Snapshots of its file system are not visible here.
    async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || {
            let removed = remove(&root, &path)?;
            // Synced even if the object was already gone: the process that removed it may have ended before its removal
            // was on the disk.
            let folder = path.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(&root);
            File::open(folder).and_then(|dir| dir.sync_all()).map_err(failed(REMOVE))?;
            Ok(u64::from(removed))
        })
        .await
    }

    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        purge_listed(self, prefix, keep).await
    }

    async fn signed_url(&self, _key: &str, _options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        Ok(Link::Stream)
    }

    async fn deletion(&self, _prefix: &str) -> Result<Deletion, StoreError> {
        // Snapshots that the file system makes are not known here.
        Ok(Deletion::at_once())
    }

    /// In a thread that nothing waits for, because walking through a large tree takes a while.
    fn sweep(&self) {
        let root = Arc::clone(&self.root);
        let now = SystemTime::now();
        drop(std::thread::Builder::new().name("store sweep".to_owned()).spawn(move || {
            let removed = sweep::sweep(&root, now);
            if removed > 0 {
                tracing::info!(removed, "temporary files of killed processes were removed from the store's directory");
            }
        }));
    }
}

const REMOVE: &str = "remove an object";

/// Removes an object. Returns whether there was one.
fn remove(root: &Path, path: &Path) -> Result<bool, StoreError> {
    let folder = folder_of(root, path);
    // Without the lock, an object that is being replaced at the same time would reappear.
    let Some(lock) = found(root, REMOVE, FolderLock::take_to_remove(folder))? else { return Ok(false) };
    let removed = found(root, REMOVE, fs::remove_file(path))?.is_some();
    drop(lock);
    // Removes the folder along with its last object. A folder that is not empty, and the root, stay.
    if folder != root {
        drop(fs::remove_dir(folder));
    }
    Ok(removed)
}

fn is_file_name(part: &str) -> bool {
    !part.is_empty() && !matches!(part, "." | "..") && !part.starts_with(TEMPORARY) && !part.contains('\0')
}

fn folder_of<'a>(root: &'a Path, target: &'a Path) -> &'a Path {
    target.parent().unwrap_or(root)
}

/// Maps an error of the operating system.
fn failed(action: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |err| match err.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::Forbidden { action, detail: err.kind().to_string(), source: Some(Box::new(err)) }
        }
        _ => StoreError::Unavailable { action, detail: err.to_string(), source: Some(Box::new(err)) },
    }
}

/// `None` if the object does not exist; an error if the root does not.
fn found<T>(root: &Path, action: &'static str, result: io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            if root.is_dir() {
                Ok(None)
            } else {
                Err(StoreError::Missing { action })
            }
        }
        Err(err) => Err(failed(action)(err)),
    }
}

/// Runs file operations off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|err| Err(StoreError::unavailable("use the directory", err.to_string())))
}
