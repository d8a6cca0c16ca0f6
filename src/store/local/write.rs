//! Writes an object to a temporary file, and renames it when it is complete.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{StoreError, Stored, TEMPORARY, failed, folder_of};

pub(super) const ACTION: &str = "write an object";
const CHUNK_BYTES: usize = 256 << 10;
/// How often another process may remove the folder, together with its last object, before the first new file is in it.
const FOLDER_ATTEMPTS: u32 = 5;

/// What to do if an object with this key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Replaced,
    Kept,
}

/// An object that is written completely and has no name yet.
pub(super) struct NewObject {
    file: NamedTempFile,
    size_bytes: u64,
    pub(super) sha256: String,
    /// Folders in which a folder was created for this object.
    parents: Vec<PathBuf>,
}

impl NewObject {
    /// Writes next to the target, so that the rename stays within one file system and readers never see half an object.
    pub(super) fn write(root: &Path, folder: &Path, mut from: impl Read) -> Result<Self, StoreError> {
        let (mut file, parents) = temporary_file(root, folder)?;
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
            file.write_all(&chunk[..n]).map_err(failed(ACTION))?;
            size_bytes += n as u64;
        }
        Ok(Self { file, size_bytes, sha256: hex::encode(hash.finalize()), parents })
    }

    /// The result for the caller.
    pub(super) fn stored(&self, key: String) -> Stored {
        Stored { key, size_bytes: self.size_bytes, sha256: self.sha256.clone() }
    }

    /// Refuses bytes whose hash is not the one that the caller gave.
    pub(super) fn expect(&self, sha256: Option<&str>) -> Result<(), StoreError> {
        if sha256.is_some_and(|expected| expected != self.sha256) {
            let detail = "the file changed before it was stored".to_owned();
            return Err(StoreError::Checksum { action: ACTION, detail });
        }
        Ok(())
    }

    /// Gives the object its name and syncs it to the disk.
    pub(super) fn persist(self, root: &Path, target: &Path, existing: Existing) -> Result<(), StoreError> {
        let folder = folder_of(root, target);
        let mut parents = self.parents;
        parents.extend(create_folders(root, folder)?);
        self.file.as_file().sync_all().map_err(failed(ACTION))?;
        match existing {
            Existing::Replaced => self.file.persist(target).map_err(|err| failed(ACTION)(err.error))?,
            Existing::Kept => self.file.persist_noclobber(target).map_err(|err| match err.error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists { action: ACTION },
                _ => failed(ACTION)(err.error),
            })?,
        };
        // A new name is on the disk once its folder is synced, and a new folder once its parent is.
        for folder in std::iter::once(folder.to_owned()).chain(parents) {
            File::open(folder).and_then(|dir| dir.sync_all()).map_err(failed(ACTION))?;
        }
        Ok(())
    }
}

/// SHA-256 of a file in lower-case hex.
pub(super) fn sha256_of(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// Creates a temporary file in the folder, which is created if missing. Also returns the folders in which a folder was
/// created.
fn temporary_file(root: &Path, folder: &Path) -> Result<(NamedTempFile, Vec<PathBuf>), StoreError> {
    // Temporary files are private by default; objects get the permissions that the umask allows.
    let mode = Permissions::from_mode(0o666);
    let mut parents = Vec::new();
    for attempt in 1.. {
        parents.extend(create_folders(root, folder)?);
        match tempfile::Builder::new().prefix(TEMPORARY).permissions(mode.clone()).tempfile_in(folder) {
            Ok(file) => return Ok((file, parents)),
            Err(err) if err.kind() == io::ErrorKind::NotFound && attempt < FOLDER_ATTEMPTS => {}
            Err(err) => return Err(failed(ACTION)(err)),
        }
    }
    Err(StoreError::unavailable(ACTION, "other processes removed the folder before the object was in it"))
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
        return Err(StoreError::Missing { action: ACTION });
    }
    fs::create_dir_all(folder).map_err(failed("create a folder"))?;
    Ok(parents)
}
