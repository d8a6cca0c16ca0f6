//! A directory as an object store: temporary name, write, fsync, rename, fsync the directory.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Folder, Head, MAX_GET_BYTES, PutOptions, StoreError, Stored, Version};

const CHUNK_BYTES: usize = 256 << 10;
/// What the names of temporary files begin with, and no segment of a key does.
const TEMPORARY: &str = ".~";
/// A writer that has not written for so long is not there any more: no job lasts a day.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone)]
pub(super) struct Local {
    root: Arc<Path>,
}

impl Local {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    pub(super) async fn put_file(&self, key: &str, path: &Path, o: PutOptions<'_>) -> Result<Stored, StoreError> {
        let path = path.to_owned();
        self.put(key, o, move || File::open(path)).await
    }

    pub(super) async fn put_bytes(&self, key: &str, bytes: Bytes, o: PutOptions<'_>) -> Result<Stored, StoreError> {
        self.put(key, o, move || Ok(io::Cursor::new(bytes))).await
    }

    async fn put<R: Read>(
        &self,
        key: &str,
        options: PutOptions<'_>,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> Result<Stored, StoreError> {
        let (root, target) = (Arc::clone(&self.root), self.path(key)?);
        let key = key.to_owned();
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let new = NewObject::write(&root, folder_of(&root, &target), open().map_err(StoreError::Scratch)?)?;
            new.expect(expected.as_deref())?;
            let stored = Stored { key, size_bytes: new.size_bytes, sha256: new.sha256.clone() };
            new.persist(&root, &target, Existing::Replaced)?;
            Ok(stored)
        })
        .await
    }

    pub(super) async fn put_addressed(
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
            let key = folder.key(&new.sha256, &object);
            let target = this.path(&key)?;
            let stored = Stored { key, size_bytes: new.size_bytes, sha256: new.sha256.clone() };
            // The bytes are in the key: what is there already is the same, unless somebody has changed it since.
            let as_it_was = File::open(&target).and_then(sha256_of).is_ok_and(|sha256| sha256 == stored.sha256);
            if !as_it_was {
                new.persist(root, &target, Existing::Replaced)?;
            }
            Ok(stored)
        })
        .await
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<(), StoreError> {
        let (root, target) = (Arc::clone(&self.root), self.path(key)?);
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let new = NewObject::write(&root, folder_of(&root, &target), &*bytes)?;
            new.expect(expected.as_deref())?;
            new.persist(&root, &target, Existing::Kept)
        })
        .await
    }

    pub(super) async fn get_versioned(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let found = self.get(key).await?;
        Ok(found.map(|bytes| {
            let version = version_of(&bytes);
            (bytes, version)
        }))
    }

    /// Under a lock of the object's folder, which everybody takes who replaces something in it.
    pub(super) async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError> {
        let (root, target, read) = (Arc::clone(&self.root), self.path(key)?, read.clone());
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let failed = |err: io::Error| StoreError::local("replace an object", &err);
            let folder = folder_of(&root, &target);
            let Some(lock) = found(&root, "replace an object", File::open(folder))? else { return Ok(false) };
            flock(&lock, FlockOperation::LockExclusive).map_err(io::Error::from).map_err(failed)?;
            let Some(now) = found(&root, "replace an object", fs::read(&target))? else { return Ok(false) };
            if version_of(&now) != read {
                return Ok(false);
            }
            let new = NewObject::write(&root, folder, &*bytes)?;
            new.expect(expected.as_deref())?;
            new.persist(&root, &target, Existing::Replaced)?;
            Ok(true)
        })
        .await
    }

    pub(super) async fn get_file(
        &self,
        key: &str,
        path: &Path,
        limit_bytes: u64,
    ) -> Result<Option<Stored>, StoreError> {
        let (root, from, to, key) = (Arc::clone(&self.root), self.path(key)?, path.to_owned(), key.to_owned());
        blocking(move || {
            let Some(file) = found(&root, "read an object", File::open(&from))? else { return Ok(None) };
            let mut scratch = File::create(&to).map_err(StoreError::Scratch)?;
            let size_bytes = io::copy(&mut file.take(limit_bytes.saturating_add(1)), &mut scratch)
                .map_err(|err| StoreError::local("read an object", &err))?;
            if size_bytes > limit_bytes {
                return Err(StoreError::TooLarge { limit_bytes });
            }
            let sha256 = File::open(&to).and_then(sha256_of).map_err(StoreError::Scratch)?;
            Ok(Some(Stored { key, size_bytes, sha256 }))
        })
        .await
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || {
            let Some(file) = found(&root, "read an object", File::open(&path))? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(MAX_GET_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(|err| StoreError::local("read an object", &err))?;
            if bytes.len() as u64 > MAX_GET_BYTES {
                return Err(StoreError::TooLarge { limit_bytes: MAX_GET_BYTES });
            }
            Ok(Some(bytes.into()))
        })
        .await
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || {
            let metadata = found(&root, "look up an object", fs::metadata(&path))?;
            Ok(metadata.filter(fs::Metadata::is_file).map(|m| Head { size_bytes: m.len() }))
        })
        .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (root, path) = (Arc::clone(&self.root), self.path(key)?);
        blocking(move || {
            found(&root, "remove an object", fs::remove_file(&path))?;
            // The last object of a folder takes the folder along; one that is not empty, or the root, stays.
            let folder = folder_of(&root, &path);
            if folder != &*root {
                drop(fs::remove_dir(folder));
            }
            Ok(())
        })
        .await
    }

    /// Removes the temporary files of writers that were killed, wherever they stand. In a thread that nothing waits for: a
    /// large tree takes a while to walk through.
    pub(super) fn sweep(&self) {
        let root = Arc::clone(&self.root);
        let now = SystemTime::now();
        drop(std::thread::Builder::new().name("store sweep".to_owned()).spawn(move || {
            let removed = sweep(&root, now);
            if removed > 0 {
                tracing::info!(removed, "half-written objects of killed writers are removed");
            }
        }));
    }

    pub(super) fn url_for_display(&self) -> String {
        format!("file://{}", self.root.display())
    }

    /// Keys are built by `store::keys`; whatever else arrives here still stays below the root.
    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let relative = Path::new(key);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || key.contains('\0') || !plain {
            return Err(StoreError::Config(format!("{key:?} is no object key")));
        }
        Ok(self.root.join(relative))
    }
}

/// What becomes of an object that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replaced,
    Kept,
}

const WRITE: &str = "write an object";

/// An object that is written as a whole and has no name yet.
struct NewObject {
    file: NamedTempFile,
    size_bytes: u64,
    sha256: String,
    /// Folders that gained a folder on the way.
    parents: Vec<PathBuf>,
}

impl NewObject {
    /// Writes next to the target, so that the rename stays on one file system and readers never see half an object.
    fn write(root: &Path, folder: &Path, mut from: impl Read) -> Result<Self, StoreError> {
        let failed = |err: io::Error| StoreError::local(WRITE, &err);
        let parents = create_folders(root, folder)?;
        // Temporary files are private by themselves; objects get what the umask leaves.
        let mode = Permissions::from_mode(0o666);
        let mut file =
            tempfile::Builder::new().prefix(TEMPORARY).permissions(mode).tempfile_in(folder).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut size_bytes = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let n = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(StoreError::Scratch(err)),
            };
            hash.update(&chunk[..n]);
            file.write_all(&chunk[..n]).map_err(failed)?;
            size_bytes += n as u64;
        }
        Ok(Self { file, size_bytes, sha256: hex::encode(hash.finalize()), parents })
    }

    /// Refuses bytes that are not those that the caller promised.
    fn expect(&self, sha256: Option<&str>) -> Result<(), StoreError> {
        if sha256.is_some_and(|expected| expected != self.sha256) {
            let detail = "the file changed before it was stored".to_owned();
            return Err(StoreError::Checksum { action: WRITE, detail });
        }
        Ok(())
    }

    /// Gives the object its name, durably.
    fn persist(self, root: &Path, target: &Path, existing: Existing) -> Result<(), StoreError> {
        let failed = |err: io::Error| StoreError::local(WRITE, &err);
        let folder = folder_of(root, target);
        let mut parents = self.parents;
        parents.extend(create_folders(root, folder)?);
        self.file.as_file().sync_all().map_err(failed)?;
        match existing {
            Existing::Replaced => self.file.persist(target).map_err(|err| failed(err.error))?,
            Existing::Kept => self.file.persist_noclobber(target).map_err(|err| match err.error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists { action: WRITE },
                _ => failed(err.error),
            })?,
        };
        // The new name is durable when its directory is; a new directory when its parent is.
        for folder in std::iter::once(folder.to_owned()).chain(parents) {
            File::open(folder).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}

fn folder_of<'a>(root: &'a Path, target: &'a Path) -> &'a Path {
    target.parent().unwrap_or(root)
}

fn version_of(bytes: &[u8]) -> Version {
    Version(hex::encode(Sha256::digest(bytes)))
}

fn sha256_of(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// Removes temporary files that nobody has written to for [`STALE`]. How many were removed.
fn sweep(root: &Path, now: SystemTime) -> usize {
    let mut folders = vec![root.to_owned()];
    let mut removed = 0;
    while let Some(folder) = folders.pop() {
        // What cannot be read now is looked at again after the next start.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                let stale = modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age >= STALE));
                removed += usize::from(stale && fs::remove_file(entry.path()).is_ok());
            }
        }
    }
    removed
}

/// Creates the folders between the root and this one. Returns the parents that gained an entry.
fn create_folders(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut parents = Vec::new();
    for ancestor in folder.ancestors().take_while(|at| *at != root) {
        if ancestor.is_dir() {
            break;
        }
        parents.extend(ancestor.parent().map(Path::to_owned));
    }
    if !root.is_dir() {
        return Err(StoreError::Missing { action: "write an object" });
    }
    fs::create_dir_all(folder).map_err(|err| StoreError::local("create a folder", &err))?;
    Ok(parents)
}

/// Nothing where the object does not exist; an error where the root does not.
fn found<T>(root: &Path, action: &'static str, result: io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if root.is_dir() {
                Ok(None)
            } else {
                Err(StoreError::Missing { action })
            }
        }
        Err(err) => Err(StoreError::local(action, &err)),
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|err| Err(StoreError::Unavailable { action: "use the directory", detail: err.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_writers_left_is_removed_once_it_is_a_day_old() {
        let root = tempfile::tempdir().expect("a directory");
        let folder = root.path().join("acme/m1");
        fs::create_dir_all(&folder).expect("folders");
        for name in [".~half", "audio.mp3", ".hidden"] {
            fs::write(folder.join(name), b"x").expect("a file");
        }
        fs::create_dir(folder.join(".~folder")).expect("a folder");
        let now = SystemTime::now();
        assert_eq!(sweep(root.path(), now), 0, "its writer may be at it");
        assert_eq!(sweep(root.path(), now + STALE + Duration::from_secs(1)), 1);
        let mut left: Vec<_> =
            fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, [".hidden", ".~folder", "audio.mp3"]);
        assert_eq!(sweep(&root.path().join("none"), now), 0);
    }
}
