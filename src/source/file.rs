//! Files of this machine: those below the configured roots for events, any file for commands on this machine.

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
/// `openat2` gives up when directories are moved while it looks; the next look is likely to succeed.
const MAX_LOOKS: u32 = 16;
const ORIGIN: &str = "the directory";

/// The directories below which events may name files.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    allowed: Vec<PathBuf>,
    /// The store's own directory, where it is one: what is there belongs to tenants.
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

    /// The innermost root that holds this path, and the path below it.
    fn place(&self, path: &str) -> Result<(PathBuf, PathBuf), SourceError> {
        let path = Path::new(path);
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(SourceError::Denied("the file's path is not a plain absolute one".to_owned()));
        }
        let in_store = self.own.as_ref().and_then(|own| path.strip_prefix(own).ok());
        if in_store.is_some_and(|key| !key.starts_with(INBOX)) {
            let text = "the file is below store.url, and only .inbox/ there may be read as an origin";
            return Err(SourceError::Denied(text.to_owned()));
        }
        let holding = self.allowed.iter().filter_map(|root| Some((root, path.strip_prefix(root).ok()?)));
        let innermost = holding.max_by_key(|(root, _)| root.components().count());
        let (root, below) = innermost
            .filter(|(_, below)| !below.as_os_str().is_empty())
            .ok_or_else(|| SourceError::Denied("the file is not below a configured root".to_owned()))?;
        Ok((root.clone(), below.to_owned()))
    }
}

/// Copies a file that the person at the keyboard named.
pub(super) async fn fetch_any(path: &Path, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    let path = path.to_owned();
    let file = blocking(move || openat(CWD, &path, reading(), Mode::empty()).map_err(refused)).await?;
    copy(file, wanted, dest).await
}

/// Opens a file so that no part of its path, symbolic links included, leads out of the root.
fn open_below(root: &Path, below: &Path) -> Result<rustix::fd::OwnedFd, SourceError> {
    let directory = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|err| SourceError::Config(format!("source.file_roots: a root cannot be opened: {err}")))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let look = || openat2(directory.as_fd(), below, reading(), Mode::empty(), resolve);
    let mut result = look();
    for _ in 1..MAX_LOOKS {
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
        result = look();
    }
    result.map_err(refused)
}

/// Without waiting: a pipe that nobody writes to must not hold a thread.
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
        // What a socket or a device without a driver says.
        Errno::NXIO | Errno::NODEV => SourceError::Invalid("it is not a regular file".to_owned()),
        Errno::NOSYS => SourceError::Config("this kernel has no openat2, which file origins need".to_owned()),
        err => unavailable(&err.into()),
    }
}

fn unavailable(err: &io::Error) -> SourceError {
    SourceError::Unavailable { detail: format!("the file cannot be read: {err}"), retry_after: None }
}

async fn copy(file: rustix::fd::OwnedFd, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    let stat = fstat(&file).map_err(|err| unavailable(&err.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SourceError::Invalid("it is not a regular file".to_owned()));
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

/// Opens off the async threads: a network file system may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let task = tokio::task::spawn_blocking(work).await;
    task.unwrap_or_else(|err| Err(SourceError::Unavailable { detail: err.to_string(), retry_after: None }))
}
