//! One process at a time compares and replaces an object of a folder.
//!
//! The lock is a file in the folder, locked by flock(2), which also holds between processes and, unlike a lock of the folder
//! itself, over NFS. The kernel releases it when its process ends. The file is removed before it is released, so that
//! folders hold nothing but objects; who waited for a removed file finds another one, or none, under the name and tries
//! again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Begins with what marks names that are no objects.
const NAME: &str = ".~lock";

/// The lock of a folder, for as long as this lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    path: PathBuf,
    /// Closing it releases the lock.
    _file: File,
}

impl FolderLock {
    /// Waits for the lock. Those who have it do not hold it for longer than writing one small object takes.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such folder.
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            match flock(&file, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => continue,
                result => result?,
            }
            if is_named(&file, &path)? {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Before the lock is released, which happens when the file is closed. Where it cannot be removed it stays, and the
        // next owner locks the same file.
        drop(fs::remove_file(&self.path));
    }
}

/// Whether this is still the file with the name.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock_and_nothing_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let (owners, turns) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock = FolderLock::take(dir.path()).expect("the lock");
                        assert_eq!(owners.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                        std::thread::yield_now();
                        owners.fetch_sub(1, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 400);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_lock_that_a_killed_process_left_is_taken_over() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(NAME), b"").expect("a file");
        drop(FolderLock::take(dir.path()).expect("the lock"));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        let missing = FolderLock::take(&dir.path().join("none")).expect_err("no folder");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
