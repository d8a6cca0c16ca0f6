//! Folders of files to try.

use std::path::{Path, PathBuf};

/// All files below a folder, but for its own list of them, in the order of their names.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name() != "MANIFEST.tsv" {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
