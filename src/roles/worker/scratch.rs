//! Scratch space: one directory for each worker process, and in it one directory for each job.
//!
//! A worker holds a lock on its own directory until its process ends. A process that can take the lock of a directory
//! knows that the directory's owner has ended, and may remove it. This holds across containers and when process ids are
//! reused.

mod download;
mod quota;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, StatVfs, flock, open, statvfs};
use tokio::time::Instant;

use crate::error::{Code, Fault};
use crate::sandbox::{BLOCK_BYTES, MAX_FILES};

const PREFIX: &str = "mediamill-scratch-";

/// What a job may take for each byte of its original: the original, and what is made of it twice, since the packets of an
/// encoded film are kept apart until all of them can be written in order. Decoded sound is never written down.
const TIMES_ORIGINAL: u64 = 3;
/// What no job may have of the scratch space, where a sixteenth of it is not less: jobs that need so little together run
/// beside one that takes all the rest.
const MOST_RESERVE_BYTES: u64 = 64 << 20;
const RESERVE_PART: u64 = 16;
/// How long [`Workspace::full_until`] speaks of a claim that found no room, where no job ends before.
const FULL_FOR: Duration = Duration::from_secs(10);
/// How long [`Workspace::check`] goes by what it has measured.
const FRESH: Duration = Duration::from_millis(100);

/// What can go wrong with scratch space.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The file system refused.
    #[error("cannot {action} the scratch directory: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The file system has less free than jobs must leave.
    #[error("the scratch file system has {free_bytes} bytes free, and worker.scratch_min_free_bytes is {floor_bytes}")]
    Low {
        /// Free, whatever was promised.
        free_bytes: u64,
        /// `worker.scratch_min_free_bytes`.
        floor_bytes: u64,
    },
    /// Too little space is free for another job.
    #[error("the scratch file system has {free_bytes} bytes that no job has reserved, {needed_bytes} are needed")]
    Full {
        /// Free and not promised to a running job.
        free_bytes: u64,
        /// The floor, and what the job may take.
        needed_bytes: u64,
    },
    /// The original alone is larger than the scratch space.
    #[error("the file has at least {original_bytes} bytes; this worker's scratch space holds at most {usable_bytes}")]
    TooLarge {
        /// Declared, or fetched so far.
        original_bytes: u64,
        /// All of the scratch space but its floor and its reserve.
        usable_bytes: u64,
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
            WorkspaceError::Io { .. } | WorkspaceError::Low { .. } => Self::transient(Code::WorkerScratch, message),
            WorkspaceError::Full { .. } => Self::NoRoom { message },
            WorkspaceError::TooLarge { .. } => Self::rejected(Code::LimitScratch, message),
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
    room: Room,
    /// What running jobs may take, by their directories.
    promised_bytes: Mutex<HashMap<PathBuf, u64>>,
    full_until: Mutex<Option<Instant>>,
    /// What the file system had free, and when that was.
    measured: Mutex<Option<(Instant, u64)>>,
}

/// How much of a file system is scratch space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Jobs do not start while less than this is free.
    pub min_free_bytes: u64,
    /// Most that this worker's jobs may take together; 0 is all of the file system.
    pub max_bytes: u64,
}

impl From<&crate::config::Worker> for Room {
    fn from(config: &crate::config::Worker) -> Self {
        Self { min_free_bytes: config.scratch_min_free_bytes, max_bytes: config.scratch_max_bytes }
    }
}

impl Workspace {
    /// Makes a directory of our own below `base` (empty: the system's temporary directory), and removes those of dead
    /// workers.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub fn open(base: &Path, room: Room) -> Result<Self, WorkspaceError> {
        let base = if base.as_os_str().is_empty() { std::env::temp_dir() } else { base.to_owned() };
        fs::create_dir_all(&base).map_err(WorkspaceError::io("create"))?;
        sweep(&base);
        loop {
            let dir = base.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
            DirBuilder::new().mode(0o700).create(&dir).map_err(WorkspaceError::io("create"))?;
            // Somebody's sweep may come between making and locking: then the directory is gone and another one is made.
            match lock(&dir) {
                Ok(Some(lock)) if dir.exists() => {
                    return Ok(Self(Arc::new(Owned {
                        dir,
                        _lock: lock,
                        room,
                        promised_bytes: Mutex::default(),
                        full_until: Mutex::default(),
                        measured: Mutex::default(),
                    })));
                }
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(WorkspaceError::io("lock")(err)),
            }
        }
    }

    /// A directory for a job whose original has so many bytes (0: unknown), removed when the [`Scratch`] is dropped.
    ///
    /// # Errors
    /// [`WorkspaceError::Full`] below the floor, counting what was promised to running jobs; [`WorkspaceError::TooLarge`]
    /// where the original alone is larger than the scratch space.
    pub fn claim(&self, original_bytes: u64) -> Result<Scratch, WorkspaceError> {
        let mut promised = self.0.promised();
        let promise = self.0.promise(&promised, None, original_bytes, original_bytes)?;
        let dir =
            tempfile::Builder::new().prefix("job-").tempdir_in(&self.0.dir).map_err(WorkspaceError::io("create"))?;
        promised.insert(dir.path().to_owned(), promise);
        drop(promised);
        Ok(Scratch { dir, owned: Arc::clone(&self.0), was_full: AtomicBool::new(false) })
    }

    /// Whether the file system has more free than jobs must leave. Asked for each message, so it makes nothing, lists
    /// nothing, and measures no more often than every 100 ms. What was promised to running jobs is not asked about: they end.
    ///
    /// # Errors
    /// [`WorkspaceError::Low`], and [`WorkspaceError::Io`] where the file system cannot be measured.
    pub fn check(&self) -> Result<(), WorkspaceError> {
        let free_bytes = self.0.measured_bytes()?;
        let floor_bytes = self.0.room.min_free_bytes;
        if free_bytes < floor_bytes { Err(WorkspaceError::Low { free_bytes, floor_bytes }) } else { Ok(()) }
    }

    /// Most bytes that an original can have here, also where no other job runs.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub fn most_bytes(&self) -> Result<u64, WorkspaceError> {
        self.0.usable_bytes()
    }

    /// Until when large files had better not be taken: a job found no room, and none has ended since.
    pub(in crate::roles::worker) fn full_until(&self) -> Option<Instant> {
        self.0.full_until().filter(|until| *until > Instant::now())
    }

    /// What the scratch space has free: the file system, and below `max_bytes` what no running job has taken.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub fn free_bytes(&self) -> Result<u64, WorkspaceError> {
        self.0.free_bytes(&self.0.promised())
    }
}

impl Owned {
    fn promised(&self) -> MutexGuard<'_, HashMap<PathBuf, u64>> {
        self.promised_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.full_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) {
        *self.full_until() = Some(Instant::now() + FULL_FOR);
    }

    fn measured_bytes(&self) -> Result<u64, WorkspaceError> {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, free_bytes)) = *measured
            && at.elapsed() < FRESH
        {
            return Ok(free_bytes);
        }
        let stat = self.stat()?;
        let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
        *measured = Some((Instant::now(), free_bytes));
        Ok(free_bytes)
    }

    fn stat(&self) -> Result<StatVfs, WorkspaceError> {
        statvfs(&self.dir).map_err(io::Error::from).map_err(WorkspaceError::io("measure"))
    }

    fn free_bytes(&self, promised: &HashMap<PathBuf, u64>) -> Result<u64, WorkspaceError> {
        let stat = self.stat()?;
        let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
        if self.room.max_bytes == 0 {
            return Ok(free_bytes);
        }
        let taken = promised.keys().map(|dir| written(dir)).fold(0, u64::saturating_add);
        Ok(free_bytes.min(self.room.max_bytes.saturating_sub(taken)))
    }

    /// What one job could have where it is alone.
    fn usable_bytes(&self) -> Result<u64, WorkspaceError> {
        let above_floor = self.above_floor()?;
        Ok(above_floor - reserve_of(above_floor))
    }

    fn reserve_bytes(&self) -> Result<u64, WorkspaceError> {
        self.above_floor().map(reserve_of)
    }

    fn above_floor(&self) -> Result<u64, WorkspaceError> {
        let stat = self.stat()?;
        let all = stat.f_blocks.saturating_mul(stat.f_frsize);
        let most = if self.room.max_bytes == 0 { all } else { all.min(self.room.max_bytes) };
        Ok(most.saturating_sub(self.room.min_free_bytes))
    }

    /// What all jobs but that of `dir` may write yet. What a job has written is no longer free, and no longer to come.
    fn to_come(promised: &HashMap<PathBuf, u64>, dir: Option<&Path>) -> u64 {
        let others = promised.iter().filter(|(other, _)| Some(other.as_path()) != dir);
        others.map(|(other, bytes)| bytes.saturating_sub(written(other))).fold(0, u64::saturating_add)
    }

    /// What is promised to the job of `dir` (none yet: a new one), whose original has `known` bytes now and `likely` at its
    /// end. A job that is alone, or beside such as the reserve is for, needs room for its original only, and is promised what
    /// there is but the reserve.
    fn promise(
        &self,
        promised: &HashMap<PathBuf, u64>,
        dir: Option<&Path>,
        known: u64,
        likely: u64,
    ) -> Result<u64, WorkspaceError> {
        let usable_bytes = self.usable_bytes()?;
        // A floor above all that there is says nothing of the file.
        if known > usable_bytes && usable_bytes > 0 {
            return Err(WorkspaceError::TooLarge { original_bytes: known, usable_bytes });
        }
        let free_bytes = self.free_bytes(promised)?;
        let own = dir.map_or(0, written);
        let wanted = likely.saturating_mul(TIMES_ORIGINAL);
        let (to_come, reserve_bytes) = (Self::to_come(promised, dir), self.reserve_bytes()?);
        let is_alone = to_come <= reserve_bytes;
        let needed = if is_alone { known } else { wanted }.saturating_sub(own);
        let needed_bytes = needed.saturating_add(to_come).saturating_add(self.room.min_free_bytes);
        if free_bytes < needed_bytes {
            self.is_full();
            return Err(WorkspaceError::Full { free_bytes, needed_bytes });
        }
        if !is_alone {
            return Ok(wanted);
        }
        let spare = free_bytes.saturating_sub(self.room.min_free_bytes).saturating_sub(reserve_bytes);
        Ok(wanted.min(own.saturating_add(spare).max(known)))
    }
}

fn reserve_of(above_floor: u64) -> u64 {
    (above_floor / RESERVE_PART).min(MOST_RESERVE_BYTES)
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
    /// Whether this job found no room itself: that it ends makes none for others like it.
    was_full: AtomicBool,
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
        // First the files, then the promise: in between, what is not yet free again would be promised to somebody else.
        remove(self.dir.path());
        self.owned.promised().remove(self.dir.path());
        if !self.was_full.load(Ordering::Relaxed) {
            *self.owned.full_until() = None;
        }
    }
}

/// Bytes that a job's files take on the disk. No more files are looked at than its child may make before it is killed: where
/// there are more all the same, a part of what was written is counted as still to come, and other jobs wait rather than run
/// short.
fn written(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().take(MAX_FILES);
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.blocks().saturating_mul(BLOCK_BYTES)).sum()
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
