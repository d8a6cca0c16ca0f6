//! A list of a tree of folders, in the order that an object store has: by the bytes of whole keys.

use std::fs;
use std::path::Path;

use super::{StoreError, found, is_file_name};
use crate::store::{Cursor, Listed, Page};

const ACTION: &str = "list objects";
/// What file systems put into their own root, and only their superuser reads.
const LOST_AND_FOUND: &str = "lost+found/";

/// The first `limit` objects after a key, of those whose keys begin with a text.
pub(super) fn page(root: &Path, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
    let mut walk = Walk { root, prefix, after, limit, page: Page::default() };
    let folder = prefix.rsplit_once('/').map(|(folder, _)| folder);
    if folder.is_some_and(|folder| !folder.split('/').all(is_file_name)) {
        // No key begins like that.
        return Ok(Page::default());
    }
    walk.folder(&folder.map(|folder| format!("{folder}/")).unwrap_or_default())?;
    Ok(walk.page)
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    page: Page,
}

impl Walk<'_> {
    /// `below`: what the keys in this folder begin with, with its slash.
    fn folder(&mut self, below: &str) -> Result<(), StoreError> {
        // A folder that is gone meanwhile has no objects any more.
        let Some(entries) = found(self.root, ACTION, fs::read_dir(self.root.join(below)))? else { return Ok(()) };
        let mut names = Vec::new();
        for entry in entries {
            let Some(entry) = found(self.root, ACTION, entry)? else { continue };
            let Some(kind) = found(self.root, ACTION, entry.file_type())? else { continue };
            // A name that is not UTF-8 is no part of a key.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_file_name(&name) && (kind.is_dir() || kind.is_file()) {
                // With its slash a folder stands where its keys do: `a-b`, `a/c`, `a0`.
                names.push(format!("{below}{name}{}", if kind.is_dir() { "/" } else { "" }));
            }
        }
        names.sort_unstable();
        for name in names {
            if name.ends_with('/') {
                if self.may_have(&name) {
                    self.folder(&name)?;
                }
            } else {
                self.object(name)?;
            }
            if self.page.next.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Whether keys that begin with this can be wanted.
    fn may_have(&self, below: &str) -> bool {
        let wanted = below.starts_with(self.prefix) || self.prefix.starts_with(below);
        let later = self.after.is_none_or(|after| below > after || after.starts_with(below));
        wanted && later && below != LOST_AND_FOUND
    }

    fn object(&mut self, key: String) -> Result<(), StoreError> {
        if !key.starts_with(self.prefix) || self.after.is_some_and(|after| key.as_str() <= after) {
            return Ok(());
        }
        let Some(metadata) = found(self.root, ACTION, fs::metadata(self.root.join(&key)))? else { return Ok(()) };
        if self.page.objects.len() == self.limit {
            self.page.next = self.page.objects.last().map(|last| Cursor::new(last.key.clone()));
        } else {
            let (size_bytes, modified) = (metadata.len(), metadata.modified().ok());
            self.page.objects.push(Listed { key, size_bytes, modified });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_bytes_from_any_place_on() {
        let root = tempfile::tempdir().expect("a directory");
        let keys = ["a-b", "a/b/c", "a/b-c", "a/b0", "a0", "b", "é/x", ".inbox/1/f", ".check"];
        let hidden = [".~half", "a/.~lock", "a/.~folder/x", "lost+found/x"];
        for key in keys.iter().chain(&hidden) {
            let path = root.path().join(key);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, key).expect("a file");
        }
        std::os::unix::fs::symlink("/", root.path().join("a/link")).expect("a link");
        let mut sorted = keys;
        sorted.sort_unstable();
        let names = |page: &Page| page.objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>();
        assert_eq!(names(&page(root.path(), "", None, 100).expect("a page")), sorted);
        for (n, after) in sorted.iter().enumerate() {
            assert_eq!(names(&page(root.path(), "", Some(after), 100).expect("a page")), sorted[n + 1..], "{after}");
        }
        // A cursor need not be a key that still exists.
        assert_eq!(names(&page(root.path(), "", Some("a/b/zzz"), 1).expect("a page")), ["a/b0"]);
        assert_eq!(names(&page(root.path(), "a/b", None, 100).expect("a page")), ["a/b-c", "a/b/c", "a/b0"]);
        for prefix in ["../", "a/../", "/", "a//", "none/", "a/.~folder/", "b/"] {
            assert_eq!(page(root.path(), prefix, None, 9).expect("a page"), Page::default(), "{prefix}");
        }
        assert!(matches!(page(&root.path().join("none"), "", None, 1), Err(StoreError::Missing { .. })));
    }
}
