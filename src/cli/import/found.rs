//! Files of a folder, and objects of a bucket.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Progress, Sender, uploaded};
use crate::cli::CliError;
use crate::config::Location;
use crate::events::{Declared, Message, Origin};
use crate::store::Store;

/// Objects of a page of the list.
const PAGE: usize = 1_000;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A file that is asked for.
pub(super) struct Found {
    pub(super) media_id: String,
    pub(super) origin: Origin,
    pub(super) declared: Declared,
    pub(super) message: Option<Message>,
}

/// An id that follows from these parts: the same file has the same id in the next run. No name stands in it.
pub(super) fn media_id(parts: &[&str]) -> String {
    let hash = hex::encode(Sha256::digest(parts.join("\0")));
    format!("import-{}", &hash[..32])
}

/// The SHA-256 of what is read, in hex.
pub(super) fn sha256(mut from: impl Read) -> io::Result<String> {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// Asks for every object below a prefix, where it is: workers need `source.s3_buckets` for it.
pub(super) async fn bucket(store: &Store, sender: &Sender<'_>, progress: &mut Progress) -> Result<(), CliError> {
    let Location::S3 { bucket, prefix } = store.location().clone() else {
        return Err(CliError::Usage("only s3:// URLs have objects".to_owned()));
    };
    let mut after = None;
    loop {
        let page = store.list(&prefix, after.as_ref(), PAGE).await?;
        for object in page.objects {
            if !sender.takes(object.size_bytes, progress)? {
                continue;
            }
            let name = object.key.rsplit('/').next().unwrap_or_default().to_owned();
            let declared = Declared {
                mime_type: mime_guess::from_path(&name).first().map(|mime| mime.to_string()),
                size_bytes: Some(object.size_bytes),
                file_name: Some(name),
                sha256: None,
            };
            let media_id = media_id(&["s3", &bucket, &object.key]);
            let origin = Origin::S3 { bucket: bucket.clone(), key: object.key };
            sender.ask(Found { media_id, origin, declared, message: None }, progress).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Asks for every file below a folder, after a copy of it is in the store's inbox. Names that begin with a dot are left alone,
/// and links are not followed.
pub(super) async fn folder(
    root: &Path,
    store: &Store,
    sender: &Sender<'_>,
    progress: &mut Progress,
) -> Result<(), CliError> {
    for path in files(root)? {
        if !sender.takes(path.metadata()?.len(), progress)? {
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let media_id = media_id(&["file", &below, &sha256(File::open(&path)?)?]);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sender.ask(uploaded(store, &media_id, &name, &path, None).await?, progress).await?;
    }
    Ok(())
}

/// All files, in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let kind = entry.file_type()?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_again_and_holds_no_name() {
        let id = media_id(&["file", "Ana/PTT.opus", "00"]);
        assert_eq!(id, media_id(&["file", "Ana/PTT.opus", "00"]));
        assert_ne!(id, media_id(&["file", "Ana", "PTT.opus00"]));
        assert!(id.len() == 39 && !id.contains("Ana"), "{id}");
        assert_eq!(sha256(&b"abc"[..]).expect("read"), hex::encode(Sha256::digest("abc")));
    }
}
