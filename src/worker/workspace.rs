//! Scratch space: one directory a worker process, one below it for each job.
//!
//! A worker holds a lock on its own directory for as long as it lives. Whoever can take the lock of a directory knows
//! that its owner is gone, also across containers and after process ids have come round, and may remove it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    promised_bytes: AtomicU64,
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
                    let promised_bytes = AtomicU64::new(0);
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
        let promised = Promise::make(&self.0, expected_bytes);
        let free_bytes = self.free_bytes()?;
        let needed_bytes = self.0.min_free_bytes.saturating_add(self.0.promised_bytes.load(Ordering::SeqCst));
        if free_bytes < needed_bytes {
            return Err(WorkspaceError::Full { free_bytes, needed_bytes });
        }
        let dir =
            tempfile::Builder::new().prefix("job-").tempdir_in(&self.0.dir).map_err(WorkspaceError::io("create"))?;
        Ok(Scratch { dir, _promised: promised })
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

impl Drop for Owned {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// One job's directory.
#[derive(Debug)]
pub struct Scratch {
    dir: tempfile::TempDir,
    _promised: Promise,
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Bytes that nobody else may count on until this is dropped.
#[derive(Debug)]
struct Promise {
    owned: Arc<Owned>,
    bytes: u64,
}

impl Promise {
    fn make(owned: &Arc<Owned>, bytes: u64) -> Self {
        // Capped, so that a sum over all slots cannot overflow.
        let bytes = bytes.min(u64::MAX >> 16);
        owned.promised_bytes.fetch_add(bytes, Ordering::SeqCst);
        Self { owned: Arc::clone(owned), bytes }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.owned.promised_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
    }
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
}
