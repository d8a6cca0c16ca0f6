//! Removes what killed processes left behind: temporary files, and lock files that no process has locked.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::TEMPORARY;

/// A temporary file that was not written to for this long has no writer any more, because no job lasts a day.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes temporary files that were not written to for [`STALE`]. Returns how many.
pub(super) fn sweep(root: &Path, now: SystemTime) -> usize {
    let mut folders = vec![root.to_owned()];
    let mut removed = 0;
    while let Some(folder) = folders.pop() {
        // What cannot be read now is tried again after the next start.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_killed_processes_are_removed_once_they_are_a_day_old() {
        let root = tempfile::tempdir().expect("a directory");
        let folder = root.path().join("acme/m1");
        fs::create_dir_all(&folder).expect("folders");
        for name in [".~half", "audio.mp3", ".hidden"] {
            fs::write(folder.join(name), b"x").expect("a file");
        }
        fs::create_dir(folder.join(".~folder")).expect("a folder");
        let now = SystemTime::now();
        assert_eq!(sweep(root.path(), now), 0, "its writer may still be writing");
        assert_eq!(sweep(root.path(), now + STALE + Duration::from_secs(1)), 1);
        let mut left: Vec<_> =
            fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, [".hidden", ".~folder", "audio.mp3"]);
        assert_eq!(sweep(&root.path().join("none"), now), 0);
    }
}
