//! Removing all of a media for certain, with a tombstone in the place of its manifest.

use bytes::Bytes;

use crate::events::{Erased, Tombstone};
use crate::store::{Folder, PutOptions, Store, StoreError};

/// How often others may write the manifest while it is replaced by a tombstone.
const MAX_RACES: usize = 32;
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");
const ACTION: &str = "erase a media";

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wiped {
    /// Objects that were there, or had versions.
    pub objects: u64,
    /// Versions and marks of them.
    pub versions: u64,
}

/// Puts a tombstone in the place of a media's manifest, then removes everything else below the media's folder, whether a manifest
/// names it or not, every version of it, and makes sure that nothing but the tombstone is left. May be repeated; the first
/// tombstone stays.
///
/// # Errors
/// [`StoreError`]; then some may be left, and the call is to be repeated.
pub async fn wipe(store: &Store, erased: Erased) -> Result<(Tombstone, Wiped), StoreError> {
    let folder = store.folder(&erased.tenant, &erased.media_id);
    let wanted = Tombstone::new(erased).map_err(|error| invalid(&error))?;
    let mut wiped = Wiped::default();
    for _ in 0..MAX_RACES {
        let stands = bury(store, &folder, &wanted).await?;
        let purged = store.purge(&folder.prefix(), Some(&folder.manifest())).await?;
        wiped.objects += u64::try_from(purged.objects().count()).unwrap_or(u64::MAX);
        wiped.versions += purged.versions();
        // A server without conditional writes may have taken another manifest meanwhile.
        let now = store.get(&folder.manifest()).await?;
        if now.is_some_and(|bytes| Tombstone::read(&bytes).as_ref() == Some(&stands)) {
            return Ok((stands, wiped));
        }
    }
    Err(others_write())
}

/// The tombstone that stands in the place of the manifest afterwards: this one, or one that was there.
async fn bury(store: &Store, folder: &Folder, wanted: &Tombstone) -> Result<Tombstone, StoreError> {
    let key = folder.manifest();
    let json = Bytes::from(wanted.to_json().map_err(|error| invalid(&error))?);
    for _ in 0..MAX_RACES {
        let written = match store.get_versioned(&key).await? {
            Some((bytes, version)) => match Tombstone::read(&bytes) {
                Some(stands) => return Ok(stands),
                None => store.replace(&key, json.clone(), OPTIONS, &version).await?,
            },
            None => store.put_new(&key, json.clone(), OPTIONS).await?,
        };
        if written {
            return Ok(wanted.clone());
        }
    }
    Err(others_write())
}

fn others_write() -> StoreError {
    let detail = "others write its manifest all the time".to_owned();
    StoreError::Unavailable { action: ACTION, detail, source: None }
}

fn invalid(error: &serde_json::Error) -> StoreError {
    StoreError::Invalid { action: ACTION, detail: format!("the tombstone does not turn into JSON: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::ErasedBecause;

    #[tokio::test]
    async fn everything_of_a_media_goes_and_the_first_tombstone_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::local(dir.path());
        let (folder, other) = (store.folder("acme", "m"), store.folder("acme", "m2"));
        for key in [folder.manifest(), folder.key("ab", "audio.mp3"), folder.key("cd", "x"), other.manifest()] {
            store.put_bytes(&key, Bytes::from("x"), OPTIONS).await.expect("stored");
        }
        let erased = |certificate: &str| Erased {
            tenant: "acme".to_owned(),
            media_id: "m".to_owned(),
            certificate: certificate.to_owned(),
            because: ErasedBecause::Request,
            erased_at: "2026-11-27T08:00:00Z".to_owned(),
            residues: Vec::new(),
        };
        let (tombstone, wiped) = wipe(&store, erased("one")).await.expect("erased");
        assert_eq!((tombstone.erased().certificate.as_str(), wiped.objects), ("one", 2));
        store.put_bytes(&folder.key("ef", "late"), Bytes::from("x"), OPTIONS).await.expect("stored");
        let (tombstone, wiped) = wipe(&store, erased("two")).await.expect("erased");
        assert_eq!((tombstone.erased().certificate.as_str(), wiped.objects), ("one", 1));
        let left = store.list("acme/", None, 9).await.expect("a page").objects;
        let left: Vec<&str> = left.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(left, [folder.manifest(), other.manifest()]);
    }
}
