//! Watches what no resource limit of a single process bounds: the bytes and the number of all files in a child's
//! scratch directory, and its threads. The fork server checks this every [`CHECK_INTERVAL`], and once more when the child has
//! ended.
//!
//! `RLIMIT_FSIZE` bounds the size of each file but not their number, and `RLIMIT_NPROC` counts the processes of a user
//! and not of a child: workers that share a user id would make each other's jobs fail. Between two checks a child can
//! exceed a bound; the next check finds that, and the child is killed.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, StatxFlags, open, openat, statat, statx};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::sandbox::wire::messages::Excess;

/// Pause between two checks of running children.
pub(in crate::sandbox) const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Most files in a scratch directory. A job creates fewer than ten.
pub(crate) const MAX_FILES: usize = 64;
/// Most threads of a child. A decoder, an encoder, its lookahead and a filter graph have at most sixteen each.
const MAX_THREADS: u32 = 256;
/// The unit of `st_blocks`, whatever the file system's block size is.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// What is watched of one child.
pub(in crate::sandbox) struct Watched {
    scratch: OwnedFd,
    /// `/proc/<child>/task`, opened before the child makes its `/proc` entries unreadable.
    tasks: OwnedFd,
    max_bytes: u64,
    /// The first bound that the child exceeded.
    pub(in crate::sandbox) excess: Option<Excess>,
}

impl Watched {
    /// Watches a child that was just forked. Its files in the directory `scratch` may take `max_bytes` together.
    ///
    /// # Errors
    /// Those of opening the child's entry in `/proc`.
    pub(in crate::sandbox) fn new(pid: Pid, scratch: OwnedFd, max_bytes: u64) -> io::Result<Self> {
        let path = format!("/proc/{}/task", pid.as_raw_nonzero());
        let tasks = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { scratch, tasks, max_bytes, excess: None })
    }

    /// Checks the child. Returns whether it exceeds a bound for the first time.
    pub(in crate::sandbox) fn exceeds(&mut self) -> bool {
        if self.excess.is_some() {
            return false;
        }
        self.excess = if self.threads() > MAX_THREADS { Some(Excess::Threads) } else { None };
        self.excess = self.excess.or_else(|| in_scratch(&self.scratch, self.max_bytes).unwrap_or_else(of_error));
        self.excess.is_some()
    }

    /// The number of threads: `/proc/<pid>/task` has one link for each, and two like every directory (proc(5)).
    fn threads(&self) -> u32 {
        let stat = statx(&self.tasks, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK);
        stat.map_or(0, |stat| stat.stx_nlink.saturating_sub(2))
    }
}

/// Stops counting as soon as a bound is exceeded.
fn in_scratch(scratch: &OwnedFd, max_bytes: u64) -> Result<Option<Excess>, Errno> {
    let (mut files, mut bytes) = (0, 0_u64);
    // The given descriptor only names the place (O_PATH).
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for entry in Dir::new(openat(scratch, c".", flags, Mode::empty())?)? {
        let entry = entry?;
        if [&b"."[..], b".."].contains(&entry.file_name().to_bytes()) {
            continue;
        }
        files += 1;
        if files > MAX_FILES {
            return Ok(Some(Excess::Files));
        }
        let stat = match statat(scratch, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            // Removed after its name was read.
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        bytes = bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK_BYTES));
        if bytes > max_bytes {
            return Ok(Some(Excess::ScratchBytes));
        }
    }
    Ok(None)
}

/// What a failed check means. A directory that does not exist has no files, and a shortage on the machine has passed by
/// one of the next checks. The child may have caused any other error, so what cannot be counted is treated as too much.
fn of_error(error: Errno) -> Option<Excess> {
    let passes = matches!(error, Errno::NOENT | Errno::MFILE | Errno::NFILE | Errno::NOMEM);
    (!passes).then_some(Excess::ScratchBytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn watched(dir: &std::path::Path, max_bytes: u64) -> Watched {
        let scratch = open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a directory");
        Watched::new(rustix::process::getpid(), scratch, max_bytes).expect("this very process")
    }

    #[test]
    fn bytes_are_counted_over_all_files_and_holes_are_free() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["input", "audio.mp3"] {
            fs::write(dir.path().join(name), vec![1; 1 << 20]).expect("written");
        }
        fs::File::create(dir.path().join("sparse")).and_then(|file| file.set_len(1 << 40)).expect("made");
        assert!(!watched(dir.path(), 3 << 20).exceeds());
        let mut tight = watched(dir.path(), (2 << 20) - 1);
        assert!(tight.exceeds());
        assert_eq!(tight.excess, Some(Excess::ScratchBytes));
        assert!(!tight.exceeds(), "it is not reported a second time");
    }

    #[test]
    fn files_are_counted_up_to_the_bound() {
        let dir = tempfile::tempdir().expect("a directory");
        let add = |n: usize| fs::write(dir.path().join(n.to_string()), b"").expect("written");
        (0..MAX_FILES).for_each(add);
        assert!(!watched(dir.path(), u64::MAX).exceeds());
        add(MAX_FILES);
        let mut full = watched(dir.path(), u64::MAX);
        assert!(full.exceeds());
        assert_eq!(full.excess, Some(Excess::Files));
    }

    #[test]
    fn what_cannot_be_counted_is_too_much_and_a_missing_directory_is_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("written");
        let scratch = open(&file, OFlags::PATH, Mode::empty()).expect("no directory");
        let mut unreadable = Watched::new(rustix::process::getpid(), scratch, 1 << 20).expect("this very process");
        assert!(unreadable.exceeds());
        assert_eq!(unreadable.excess, Some(Excess::ScratchBytes));
        let mut gone = watched(dir.path(), 1 << 20);
        dir.close().expect("removed");
        assert!(!gone.exceeds());
        assert_eq!((of_error(Errno::ACCESS), of_error(Errno::MFILE)), (Some(Excess::ScratchBytes), None));
    }

    #[test]
    fn threads_are_counted_without_listing_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let watched = watched(dir.path(), u64::MAX);
        let before = watched.threads();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || stopped.recv());
        // Other tests start and end threads at the same time, so the exact number is unknown.
        assert!(before >= 1 && watched.threads() >= 2);
        drop(stop);
        assert!(waiting.join().expect("no panic").is_err());
    }
}
