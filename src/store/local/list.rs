//! Lists the objects in a tree of folders, in the order of an object store: by the bytes of whole keys.

use std::fs;
use std::path::Path;

use super::{StoreError, found, is_file_name};
use crate::store::{Cursor, Listed, Page};

const ACTION: &str = "list objects";
/// A folder that file systems have at their root. Only the superuser can read it.
const LOST_AND_FOUND: &str = "lost+found/";

/// The first `limit` objects behind the key `after` whose keys begin with `prefix`.
pub(super) fn page(root: &Path, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
    let mut walk = Walk { root, prefix, after, limit, page: Page::default() };
    let folder = prefix.rsplit_once('/').map(|(folder, _)| folder);
    if folder.is_some_and(|folder| !folder.split('/').all(is_file_name)) {
        // No key begins like this.
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
    /// Visits a folder. `below` is the beginning of all keys in it, with the last slash.
    fn folder(&mut self, below: &str) -> Result<(), StoreError> {
        // The folder was removed meanwhile, so it has no objects.
        let Some(entries) = found(self.root, ACTION, fs::read_dir(self.root.join(below)))? else { return Ok(()) };
        let mut names = Vec::new();
        for entry in entries {
            let Some(entry) = found(self.root, ACTION, entry)? else { continue };
            let Some(kind) = found(self.root, ACTION, entry.file_type())? else { continue };
            // A name that is not UTF-8 cannot be part of a key.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_file_name(&name) && (kind.is_dir() || kind.is_file()) {
                // A folder sorts by its name with a slash, as its keys do: `a-b`, `a/c`, `a0`.
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

    /// Whether keys that begin with `below` can be part of the page.
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
        // A cursor may name a key that no longer exists.
        assert_eq!(names(&page(root.path(), "", Some("a/b/zzz"), 1).expect("a page")), ["a/b0"]);
        assert_eq!(names(&page(root.path(), "a/b", None, 100).expect("a page")), ["a/b-c", "a/b/c", "a/b0"]);
        for prefix in ["../", "a/../", "/", "a//", "none/", "a/.~folder/", "b/"] {
            assert_eq!(page(root.path(), prefix, None, 9).expect("a page"), Page::default(), "{prefix}");
        }
        assert!(matches!(page(&root.path().join("none"), "", None, 1), Err(StoreError::Missing { .. })));
    }
}
