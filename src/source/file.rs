//! Fetches files of this machine: for events only below the configured roots, for commands on this machine any file.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;
use tokio::io::AsyncReadExt;

use super::sink::{Sink, Wanted};
use super::{Fetched, SourceError};
use crate::config::Location;
use crate::store::Store;
use crate::store::keys::INBOX;

const CHUNK_BYTES: usize = 256 << 10;
/// `openat2` fails when directories are moved while it resolves a path. The next attempt is likely to succeed.
const MAX_ATTEMPTS: u32 = 16;
const ORIGIN: &str = "the directory";

/// The directories below which events may name files.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    allowed: Vec<PathBuf>,
    /// The store's directory, if the store is one. The files in it belong to tenants.
    own: Option<PathBuf>,
}

impl Roots {
    pub(super) fn new(roots: &[PathBuf], store: &Store) -> Self {
        let own = match store.location() {
            Location::Local { root } => Some(root.clone()),
            Location::S3 { .. } | Location::Gcs { .. } | Location::Azure { .. } => None,
        };
        Self { allowed: roots.to_vec(), own }
    }

    /// Copies the file that an event names.
    pub(super) async fn fetch(&self, path: &str, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
        let (root, below) = self.place(path)?;
        let file = blocking(move || open_below(&root, &below)).await?;
        copy(file, wanted, dest).await
    }

    /// The innermost root above this path, and the rest of the path.
    fn place(&self, path: &str) -> Result<(PathBuf, PathBuf), SourceError> {
        let path = Path::new(path);
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(SourceError::Denied("the file's path is not absolute, or contains . or ..".to_owned()));
        }
        let in_store = self.own.as_ref().and_then(|own| path.strip_prefix(own).ok());
        if in_store.is_some_and(|key| !key.starts_with(INBOX)) {
            let text = "the file is in the store: below store.url only .inbox/ may be used as an origin";
            return Err(SourceError::Denied(text.to_owned()));
        }
        let holding = self.allowed.iter().filter_map(|root| Some((root, path.strip_prefix(root).ok()?)));
        let innermost = holding.max_by_key(|(root, _)| root.components().count());
        let (root, below) = innermost
            .filter(|(_, below)| !below.as_os_str().is_empty())
            .ok_or_else(|| SourceError::Denied("the file is not below one of source.file_roots".to_owned()))?;
        Ok((root.clone(), below.to_owned()))
    }
}

/// Copies a file that a person named on the command line.
pub(super) async fn fetch_any(path: &Path, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    let path = path.to_owned();
    let file = blocking(move || openat(CWD, &path, reading(), Mode::empty()).map_err(refused)).await?;
    copy(file, wanted, dest).await
}

/// Opens a file in such a way that no part of its path, not even a symbolic link, leads out of the root.
fn open_below(root: &Path, below: &Path) -> Result<rustix::fd::OwnedFd, SourceError> {
    let directory = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|err| SourceError::Config(format!("source.file_roots: a directory cannot be opened: {err}")))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let look = || openat2(directory.as_fd(), below, reading(), Mode::empty(), resolve);
    let mut result = look();
    for _ in 1..MAX_ATTEMPTS {
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
        result = look();
    }
    result.map_err(refused)
}

/// Flags for opening without blocking: opening a pipe that nobody writes to must not block a thread.
fn reading() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

fn refused(err: Errno) -> SourceError {
    match err {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => SourceError::NotFound { origin: ORIGIN.to_owned() },
        Errno::XDEV | Errno::LOOP => SourceError::Denied("the file's path leads out of its root".to_owned()),
        Errno::ACCESS | Errno::PERM => {
            SourceError::Credentials { origin: ORIGIN.to_owned(), detail: "permission denied".to_owned() }
        }
        // The error for a socket, or for a device without a driver.
        Errno::NXIO | Errno::NODEV => SourceError::Invalid("the origin is not a regular file".to_owned()),
        Errno::NOSYS => {
            SourceError::Config("the kernel has no openat2(2), which file origins need (Linux 5.6 or later)".to_owned())
        }
        err => unavailable(&err.into()),
    }
}

fn unavailable(err: &io::Error) -> SourceError {
    SourceError::Unavailable { detail: format!("the file cannot be read: {err}"), retry_after: None }
}

async fn copy(file: rustix::fd::OwnedFd, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    let stat = fstat(&file).map_err(|err| unavailable(&err.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SourceError::Invalid("the origin is not a regular file".to_owned()));
    }
    wanted.announced(u64::try_from(stat.st_size).unwrap_or(0))?;
    let mut file = tokio::fs::File::from_std(File::from(file));
    let mut sink = Sink::create(dest, wanted).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).await.map_err(|err| unavailable(&err))? {
            0 => return sink.finish().await,
            n => sink.write(&chunk[..n]).await?,
        }
    }
}

/// Runs file operations off the async threads, because a network file system may block them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let task = tokio::task::spawn_blocking(work).await;
    task.unwrap_or_else(|err| Err(SourceError::Unavailable { detail: err.to_string(), retry_after: None }))
}
