//! A directory as an object store: temporary name, write, fsync, rename, fsync the directory.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Head, MAX_GET_BYTES, PutOptions, StoreError, Stored};

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
        let root = Arc::clone(&self.root);
        let target = self.path(key)?;
        let key = key.to_owned();
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            let from = open().map_err(StoreError::Scratch)?;
            let (size_bytes, sha256) =
                write_whole(&root, &target, from, Put { only_new: false, expected: expected.as_deref() })?;
            Ok(Stored { key, size_bytes, sha256 })
        })
        .await
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<(), StoreError> {
        let (root, target) = (Arc::clone(&self.root), self.path(key)?);
        let expected = options.sha256.map(str::to_owned);
        blocking(move || {
            write_whole(&root, &target, &*bytes, Put { only_new: true, expected: expected.as_deref() }).map(drop)
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
        blocking(move || found(&root, "remove an object", fs::remove_file(&path)).map(drop)).await
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

/// What is to be written.
#[derive(Debug, Clone, Copy)]
struct Put<'a> {
    /// Only where nothing was there before.
    only_new: bool,
    /// Only bytes with this SHA-256, where one is given.
    expected: Option<&'a str>,
}

/// Writes next to the target, so that the rename stays on one file system and readers never see half an object.
fn write_whole(root: &Path, target: &Path, mut from: impl Read, put: Put<'_>) -> Result<(u64, String), StoreError> {
    const ACTION: &str = "write an object";
    let failed = |err: io::Error| StoreError::local(ACTION, &err);
    let folder = target.parent().unwrap_or(root);
    let fresh = create_folders(root, folder)?;
    // Temporary files are private by themselves; objects get what the umask leaves.
    let mode = Permissions::from_mode(0o666);
    let mut temporary =
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
        temporary.write_all(&chunk[..n]).map_err(failed)?;
        size_bytes += n as u64;
    }
    let sha256 = hex::encode(hash.finalize());
    if put.expected.is_some_and(|expected| expected != sha256) {
        return Err(StoreError::Checksum {
            action: ACTION,
            detail: "the file changed before it was stored".to_owned(),
        });
    }
    temporary.as_file().sync_all().map_err(failed)?;
    match put.only_new {
        false => temporary.persist(target).map_err(|err| failed(err.error))?,
        true => temporary.persist_noclobber(target).map_err(|err| match err.error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists { action: ACTION },
            _ => failed(err.error),
        })?,
    };
    // The new name is durable when its directory is; a new directory when its parent is.
    for folder in std::iter::once(folder.to_owned()).chain(fresh) {
        File::open(folder).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    Ok((size_bytes, sha256))
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
