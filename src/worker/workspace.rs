//! Scratch space: one directory a worker process, one below it for each job.
//!
//! A worker holds a lock on its own directory for as long as it lives. Whoever can take the lock of a directory knows
//! that its owner is gone, also across containers and after process ids have come round, and may remove it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open, statvfs};

use crate::error::{Code, Fault};

const PREFIX: &str = "mediamill-scratch-";

/// What can go wrong with scratch space.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The file system said no.
    #[error("cannot {action} the scratch directory: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Too little space is free for another job.
    #[error("the scratch file system has {free_bytes} bytes to spare, {needed_bytes} are needed")]
    Full {
        /// Free and not promised to a running job.
        free_bytes: u64,
        /// The floor, and what the job may take.
        needed_bytes: u64,
    },
}

impl WorkspaceError {
    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

impl From<WorkspaceError> for Fault {
    fn from(err: WorkspaceError) -> Self {
        let message = err.to_string();
        match err {
            WorkspaceError::Io { .. } | WorkspaceError::Full { .. } => Self::transient(Code::WorkerScratch, message),
        }
    }
}

/// This process's scratch space; gone when the last clone is.
#[derive(Debug, Clone)]
pub struct Workspace(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    dir: PathBuf,
    _lock: OwnedFd,
    min_free_bytes: u64,
    /// What running jobs may take, by their directories.
    promised_bytes: Mutex<HashMap<PathBuf, u64>>,
}

impl Workspace {
    /// Makes a directory of our own below `base` (empty: the system's temporary directory), and removes those of dead
    /// workers.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub fn open(base: &Path, min_free_bytes: u64) -> Result<Self, WorkspaceError> {
        let base = if base.as_os_str().is_empty() { std::env::temp_dir() } else { base.to_owned() };
        fs::create_dir_all(&base).map_err(WorkspaceError::io("create"))?;
        sweep(&base);
        loop {
            let dir = base.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
            DirBuilder::new().mode(0o700).create(&dir).map_err(WorkspaceError::io("create"))?;
            // Somebody's sweep may come between making and locking: then the directory is gone and another one is made.
            match lock(&dir) {
                Ok(Some(lock)) if dir.exists() => {
                    let promised_bytes = Mutex::default();
                    return Ok(Self(Arc::new(Owned { dir, _lock: lock, min_free_bytes, promised_bytes })));
                }
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(WorkspaceError::io("lock")(err)),
            }
        }
    }

    /// A directory for one job that may take `expected_bytes`, removed when the [`Scratch`] is dropped.
    ///
    /// # Errors
    /// [`WorkspaceError::Full`] below the floor, counting what was promised to running jobs.
    pub fn claim(&self, expected_bytes: u64) -> Result<Scratch, WorkspaceError> {
        let mut promised = self.0.promised();
        let free_bytes = self.free_bytes()?;
        // What a job has written is no longer free, and no longer to come.
        let to_come = promised.iter().map(|(dir, bytes)| bytes.saturating_sub(written(dir)));
        let to_come = to_come.fold(expected_bytes, u64::saturating_add);
        let needed_bytes = self.0.min_free_bytes.saturating_add(to_come);
        if free_bytes < needed_bytes {
            return Err(WorkspaceError::Full { free_bytes, needed_bytes });
        }
        let dir =
            tempfile::Builder::new().prefix("job-").tempdir_in(&self.0.dir).map_err(WorkspaceError::io("create"))?;
        promised.insert(dir.path().to_owned(), expected_bytes);
        Ok(Scratch { dir, owned: Arc::clone(&self.0) })
    }

    /// Whether a job that takes next to nothing could start: for readiness.
    ///
    /// # Errors
    /// As [`Workspace::claim`].
    pub fn check(&self) -> Result<(), WorkspaceError> {
        self.claim(0).map(drop)
    }

    /// What the file system of the scratch space has free.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub fn free_bytes(&self) -> Result<u64, WorkspaceError> {
        let stat = statvfs(&self.0.dir).map_err(io::Error::from).map_err(WorkspaceError::io("measure"))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl Owned {
    fn promised(&self) -> MutexGuard<'_, HashMap<PathBuf, u64>> {
        self.promised_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// One job's directory.
#[derive(Debug)]
pub struct Scratch {
    dir: tempfile::TempDir,
    owned: Arc<Owned>,
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.owned.promised().remove(self.dir.path());
    }
}

/// Most files of a job's directory that are looked at: as many as its child may make before it is killed. Where there are
/// more all the same, a part of what was written is counted as still to come, and other jobs wait rather than run short.
const MAX_FILES_COUNTED: usize = 64;

/// Bytes that a job's files take on the disk.
fn written(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().take(MAX_FILES_COUNTED);
    // Blocks are of 512 bytes, whatever the file system's own are.
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.blocks().saturating_mul(512)).sum()
}

/// Removes what dead workers left below `base`. What cannot be removed is somebody else's, or is tried again next time.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(Some(_held_while_removing)) = lock(&entry.path()) {
            tracing::info!(dir = %entry.path().display(), "removing the scratch space of a dead worker");
            remove(&entry.path());
        }
    }
}

/// The lock of a worker's directory; nothing where its owner is alive.
fn lock(dir: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = open(dir, flags, Mode::empty())?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(fd)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

fn remove(dir: &Path) {
    if let Err(err) = fs::remove_dir_all(dir)
        && err.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(dir = %dir.display(), %err, "cannot remove scratch space");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(base: &Path) -> usize {
        fs::read_dir(base).expect("readable").count()
    }

    #[test]
    fn a_job_leaves_nothing_and_neither_does_the_worker() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), 0).expect("open");
        let scratch = workspace.claim(10).expect("claim");
        let path = scratch.path().to_owned();
        fs::write(path.join("input"), b"x").expect("write");
        drop(scratch);
        assert!(!path.exists());
        drop(workspace);
        assert_eq!(names(base.path()), 0);
    }

    #[test]
    fn a_sweep_takes_the_dead_and_spares_the_living_and_the_foreign() {
        let base = tempfile::tempdir().expect("base");
        let alive = Workspace::open(base.path(), 0).expect("open");
        fs::create_dir_all(base.path().join(format!("{PREFIX}dead/job-1"))).expect("dead");
        fs::create_dir(base.path().join("somebody-elses")).expect("foreign");
        let second = Workspace::open(base.path(), 0).expect("open");
        assert!(!base.path().join(format!("{PREFIX}dead")).exists());
        assert!(base.path().join("somebody-elses").exists());
        assert_eq!(names(base.path()), 3);
        drop((alive, second));
        assert_eq!(names(base.path()), 1);
    }

    #[test]
    fn no_job_starts_below_the_floor_and_promises_count() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), u64::MAX >> 1).expect("open");
        assert!(matches!(workspace.claim(0), Err(WorkspaceError::Full { .. })));

        let workspace = Workspace::open(base.path(), 0).expect("open");
        let free = workspace.free_bytes().expect("free");
        let first = workspace.claim(free / 2).expect("fits");
        assert!(matches!(workspace.claim(free), Err(WorkspaceError::Full { .. })));
        drop(first);
        assert!(workspace.claim(free / 2).is_ok());
    }

    #[test]
    fn a_directory_full_of_files_is_not_walked_to_its_end() {
        let base = tempfile::tempdir().expect("base");
        for n in 0..MAX_FILES_COUNTED + 10 {
            fs::write(base.path().join(n.to_string()), b"x").expect("written");
        }
        let each = fs::metadata(base.path().join("0")).expect("metadata").blocks() * 512;
        assert_eq!(written(base.path()), each * MAX_FILES_COUNTED as u64);
    }

    #[test]
    fn what_a_job_has_written_is_not_counted_twice() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), 0).expect("open");
        // Much more than others are likely to write meanwhile.
        let size: u64 = 256 << 20;
        let job = workspace.claim(size).expect("fits");
        let all_but_half = || workspace.free_bytes().expect("free") - size / 2;
        assert!(matches!(workspace.claim(all_but_half()), Err(WorkspaceError::Full { .. })), "it is to come");
        let file = fs::File::create(job.path().join("input")).expect("a file");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).expect("written");
        assert!(workspace.claim(all_but_half()).is_ok(), "it is there");
    }
}
