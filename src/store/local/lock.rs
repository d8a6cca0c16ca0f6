//! A lock on a folder, so that only one process at a time compares and replaces an object in it.
//!
//! The lock is a file in the folder, locked by flock(2), which works between processes and, unlike a lock of the folder
//! itself, also over NFS. The kernel releases it when its process ends. The file is removed before the lock is
//! released, so that folders contain nothing but objects. A process that waited for the removed file notices that the
//! name now belongs to another file or to none, and tries again.
//!
//! The folder itself is locked as well, after the file, if its file system supports that. This excludes older versions
//! of this program, which lock only the folder, and removals on a full disk, where the file cannot be created.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Begins with the mark of names that are not objects.
const NAME: &str = ".~lock";
/// How long to wait for a lock. Its owner only writes one small object, which takes longer only if its disk hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts doubles up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(16);

/// The lock of a folder, until this is dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    /// The lock file; `None` if only the folder is locked.
    path: Option<PathBuf>,
    /// Closing these files releases the lock.
    _files: [Option<File>; 2],
}

impl FolderLock {
    /// Waits for the lock, at most [`PATIENCE`].
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such folder, [`io::ErrorKind::TimedOut`] if another process has the
    /// lock for too long.
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        Self::take_until(folder, Instant::now() + PATIENCE)
    }

    /// The same for a removal, which must be possible on a full disk: there only the folder is locked.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub(super) fn take_to_remove(folder: &Path) -> io::Result<Self> {
        let until = Instant::now() + PATIENCE;
        match Self::take_until(folder, until) {
            Err(err) if is_full(&err) => Self::of_folder_alone(folder, until),
            result => result,
        }
    }

    fn take_until(folder: &Path, until: Instant) -> io::Result<Self> {
        let path = folder.join(NAME);
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            lock(&file, until)?;
            if is_named(&file, &path)? {
                // From here on the file is removed even if the folder cannot be locked in time.
                let mut this = Self { path: Some(path), _files: [Some(file), None] };
                this._files[1] = folder_lock(folder, until)?;
                return Ok(this);
            }
        }
    }

    fn of_folder_alone(folder: &Path, until: Instant) -> io::Result<Self> {
        Ok(Self { path: None, _files: [None, folder_lock(folder, until)?] })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Before the lock is released, which happens when the file is closed. If the file cannot be removed it stays,
        // and the next owner locks the same file.
        drop(self.path.take().map(fs::remove_file));
    }
}

/// Locks the folder itself; `None` if its file system has no such locks, as NFS.
fn folder_lock(folder: &Path, until: Instant) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match lock(&file, until) {
        Ok(()) => Ok(Some(file)),
        Err(err) if err.kind() == io::ErrorKind::TimedOut => Err(err),
        Err(_) => Ok(None),
    }
}

/// Locks a file and waits until a given time. flock(2) itself waits without a limit or not at all.
fn lock(file: &File, until: Instant) -> io::Result<()> {
    let mut pause = PAUSE_MIN;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() >= until => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process held the lock of the folder for too long",
                ));
            }
            Err(Errno::WOULDBLOCK) => {
                sleep(pause);
                pause = (pause * 2).min(PAUSE_MAX);
            }
            result => return Ok(result?),
        }
    }
}

fn is_full(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the path still names this file.
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
    fn one_at_a_time_has_the_lock_and_no_file_stays() {
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

    #[test]
    fn a_lock_is_waited_for_no_longer_than_its_limit() {
        let dir = tempfile::tempdir().expect("a directory");
        let owner = FolderLock::take(dir.path()).expect("the lock");
        let soon = || Instant::now() + Duration::from_millis(20);
        let late = FolderLock::take_until(dir.path(), soon()).expect_err("somebody has it");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let late = FolderLock::of_folder_alone(dir.path(), soon()).expect_err("also of the folder");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        drop(owner);
        drop(FolderLock::take(dir.path()).expect("the lock"));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_lock_of_the_folder_alone_excludes_too_and_no_file_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let soon = || Instant::now() + Duration::from_millis(20);
        let folder = FolderLock::of_folder_alone(dir.path(), soon()).expect("the lock");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0, "it takes no file");
        let late = FolderLock::take_until(dir.path(), soon()).expect_err("somebody has the folder");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        drop(folder);
        drop(FolderLock::take(dir.path()).expect("the lock"));
    }

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_recognised_by_their_errors() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert!(is_full(&errno.into()), "{errno}");
        }
        assert!(!is_full(&Errno::IO.into()) && !is_full(&Errno::NOENT.into()));
    }
}
