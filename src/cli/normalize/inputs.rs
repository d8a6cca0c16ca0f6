//! Finds the files that the command line names and gives each of them an id.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::{CliError, units};

/// Longer ids are shortened, because they become names of directories.
const MAX_ID_CHARS: usize = 120;

/// One file to be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Input {
    /// The path with which it is opened.
    pub(in crate::cli) path: PathBuf,
    /// The name for people: the path as given, or the path below the given folder.
    pub(in crate::cli) label: OsString,
    /// The media id: only characters that are valid in every file system and URL, and unique in this run.
    pub(in crate::cli) id: String,
}

/// The files that were found, and paths that were skipped.
#[derive(Debug, Default)]
pub(in crate::cli) struct Inputs {
    /// The files in the order in which they were named; those of a folder are ordered by name.
    pub(in crate::cli) files: Vec<Input>,
    /// Paths that are neither a file nor a folder, or folders that cannot be listed, with the reason.
    pub(in crate::cli) skipped: Vec<(PathBuf, String)>,
}

/// Finds every file that `paths` name. Folders are searched with all subfolders and hidden files; `out` is skipped.
///
/// # Errors
/// A path that does not exist, is neither a file nor a folder, or is `out` itself.
pub(in crate::cli) fn find(paths: &[PathBuf], out: &Path) -> Result<Inputs, CliError> {
    let mut walk = Walk { found: Inputs::default(), ids: HashSet::new(), seen: HashSet::new() };
    let out = identity(out)?;
    walk.seen.insert(out);
    for path in paths {
        let usage = |what: &str| CliError::Usage(format!("{}: {what}", units::printable(path.as_os_str())));
        let meta = fs::metadata(path).map_err(|error| usage(&error.to_string()))?;
        if meta.is_dir() {
            if (meta.dev(), meta.ino()) == out {
                return Err(usage("is the folder that --out names"));
            }
            walk.folder(path, Path::new(""));
        } else if meta.is_file() {
            walk.file(path.clone(), path.file_name().unwrap_or(path.as_os_str()));
        } else {
            return Err(usage("is neither a file nor a folder"));
        }
    }
    Ok(walk.found)
}

/// Device and inode, which are the same for all names of a folder.
type Identity = (u64, u64);

fn identity(path: &Path) -> std::io::Result<Identity> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

struct Walk {
    found: Inputs,
    ids: HashSet<String>,
    /// Folders that were visited or must be skipped. This also ends cycles of links.
    seen: HashSet<Identity>,
}

impl Walk {
    fn folder(&mut self, path: &Path, below: &Path) {
        match identity(path) {
            Ok(identity) if !self.seen.insert(identity) => return,
            Ok(_) => {}
            Err(error) => return self.skip(path, &error.to_string()),
        }
        let mut names: Vec<OsString> = match fs::read_dir(path) {
            Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect(),
            Err(error) => return self.skip(path, &error.to_string()),
        };
        names.sort_unstable();
        for name in names {
            let (path, label) = (path.join(&name), below.join(&name));
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.folder(&path, &label),
                Ok(meta) if meta.is_file() => self.file(path, label.as_os_str()),
                Ok(_) => self.skip(&path, "is neither a file nor a folder"),
                Err(error) => self.skip(&path, &error.to_string()),
            }
        }
    }

    fn file(&mut self, path: PathBuf, label: &OsStr) {
        let id = self.unlike_others(label, &path);
        self.found.files.push(Input { path, label: label.to_owned(), id });
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.found.skipped.push((path.to_owned(), why.to_owned()));
    }

    /// The label as an id; if that is used already, with some digits of a hash of the path.
    fn unlike_others(&mut self, label: &OsStr, path: &Path) -> String {
        let plain = plain_id(label);
        let mut id = plain.clone();
        let mut salt = 0_u32;
        while !self.ids.insert(id.clone()) {
            let digest = Sha256::new().chain_update(path.as_os_str().as_bytes()).chain_update(salt.to_be_bytes());
            id = format!("{plain}-{}", &hex::encode(digest.finalize())[..8]);
            salt += 1;
        }
        id
    }
}

/// Replaces all but letters, digits, `.`, `-` and `_`. A long name keeps its end, which says more than its beginning.
fn plain_id(label: &OsStr) -> String {
    let tame = |byte: &u8| if byte.is_ascii_alphanumeric() || b".-_".contains(byte) { char::from(*byte) } else { '_' };
    let id: String = label.as_bytes().iter().map(tame).collect();
    id[id.len().saturating_sub(MAX_ID_CHARS)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(paths: &[PathBuf], out: &Path) -> Vec<String> {
        let files = find(paths, out).expect("found").files;
        files.iter().map(|file| file.label.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folders_are_searched_in_order_and_links_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for folder in ["in/b/deep", "in/out"] {
            fs::create_dir_all(at(folder)).expect("folders");
        }
        for file in ["in/z", "in/.hidden", "in/b/a", "in/b/deep/c", "in/out/index.html"] {
            fs::write(at(file), "x").expect("a file");
        }
        std::os::unix::fs::symlink("..", at("in/b/up")).expect("a loop");
        std::os::unix::fs::symlink("nowhere", at("in/broken")).expect("a link");
        assert_eq!(labels(&[at("in")], &at("in/out")), [".hidden", "b/a", "b/deep/c", "z"]);
        let found = find(&[at("in")], &at("in/out")).expect("found");
        assert_eq!(found.skipped.len(), 1, "{:?}", found.skipped);
        assert!(find(&[at("in/out")], &at("in/out")).is_err());
        assert!(find(&[at("missing")], &at("in/out")).is_err());
    }

    #[test]
    fn ids_have_only_safe_characters_and_are_unique() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut paths = Vec::new();
        for name in ["a b", "a_b", "a?b", "-a", "\u{fc}"] {
            paths.push(dir.path().join(name));
        }
        paths.push(dir.path().join(OsStr::from_bytes(b"\xff\xfe.ogg")));
        paths.push(dir.path().join("n".repeat(200)));
        for path in &paths {
            fs::write(path, "x").expect("a file");
        }
        paths.push(paths[0].clone());
        let out = tempfile::tempdir().expect("a directory");
        let files = find(&paths, out.path()).expect("found").files;
        let ids: HashSet<_> = files.iter().map(|file| file.id.clone()).collect();
        assert_eq!(ids.len(), paths.len(), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= MAX_ID_CHARS + 9 && plain_id(OsStr::new(id)).ends_with(&id[1..])));
        assert!(ids.contains("-a") && ids.contains("__.ogg"), "{ids:?}");
    }
}
