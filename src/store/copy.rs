//! Moving everything from one store to another, of any kinds: under the same keys below the prefix, so that links stay.
//!
//! It keeps no notes. An object that the other store has already is not sent again: where its bytes are in its key, its size is
//! compared, and otherwise the bytes are. So a copy that was interrupted goes on when it is started again. What is sent was
//! hashed on its way here, is compared with its key where that has the SHA-256, and is checked by the other store.

use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Cursor, Listed, MAX_PAGE, PutOptions, Store, StoreError, keys};

const ACTION: &str = "copy an object";
/// The largest object that is copied: what a store takes by one name.
const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// What a copy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Objects that were sent.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were there already.
    pub there: u64,
}

impl Copied {
    fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.there += other.there;
    }
}

/// A copy from one store to another.
#[derive(Debug)]
pub struct Copy<'a> {
    /// Where the objects are.
    pub from: &'a Store,
    /// Where they are to be.
    pub to: &'a Store,
    /// Directory for an object on its way; it has space for `at_once` of the largest.
    pub scratch: &'a Path,
    /// Objects on their way at the same time.
    pub at_once: usize,
    /// Whether what is there is read and compared by SHA-256, whatever its key says.
    pub verify: bool,
}

impl Copy<'_> {
    /// Copies all objects. `progress` is told after each page.
    ///
    /// # Errors
    /// [`StoreError`] of the first object that could not be copied; what was copied before stays, and another run goes on.
    pub async fn run(&self, mut progress: impl FnMut(Copied)) -> Result<Copied, StoreError> {
        let (mut all, mut at): (Copied, Option<Cursor>) = (Copied::default(), None);
        let prefix = below(self.from.location().prefix());
        loop {
            let page = self.from.list(&prefix, at.as_ref(), MAX_PAGE).await?;
            // A manifest names other objects, which are to be there before it.
            let (manifests, others): (Vec<_>, Vec<_>) =
                page.objects.into_iter().partition(|object| object.key.ends_with(keys::MANIFEST));
            for objects in [others, manifests] {
                let copies: Vec<_> = objects.iter().map(|object| self.one(object)).collect();
                let copied: Vec<Copied> = stream::iter(copies).buffer_unordered(self.at_once).try_collect().await?;
                copied.into_iter().for_each(|copied| all.add(copied));
            }
            progress(all);
            match page.next {
                Some(next) => at = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn one(&self, object: &Listed) -> Result<Copied, StoreError> {
        let rest = object.key.strip_prefix(&below(self.from.location().prefix())).unwrap_or(&object.key);
        let key = format!("{}{rest}", below(self.to.location().prefix()));
        let there = Copied { there: 1, ..Copied::default() };
        let file = tempfile::NamedTempFile::new_in(self.scratch).map_err(StoreError::Scratch)?;
        let addressed = keys::address(rest);
        let found = self.to.head(&key).await?.is_some_and(|head| head.size_bytes == object.size_bytes);
        if found && addressed.is_some() && !self.verify {
            return Ok(there);
        }
        let Some(got) = self.from.get_file(&object.key, file.path(), MAX_OBJECT_BYTES).await? else {
            // Removed since it was listed.
            return Ok(Copied::default());
        };
        if addressed.is_some_and(|digits| !got.sha256.starts_with(digits)) {
            let detail = "its bytes are not those that its key says".to_owned();
            return Err(StoreError::Checksum { action: ACTION, detail });
        }
        if found && self.sha256_of(&key).await?.as_ref() == Some(&got.sha256) {
            return Ok(there);
        }
        let head = self.from.head(&object.key).await?;
        let (known, disposition) = head.map_or((None, None), |head| (head.content_type, head.content_disposition));
        let (guess, saved) = by_name(rest);
        let name = rest.rsplit('/').next().unwrap_or(rest);
        let options = PutOptions {
            storage_class: addressed.and_then(|_| self.to.tiers.class_of(name, got.size_bytes, None)),
            content_disposition: if known.is_some() { disposition.as_deref() } else { saved.as_deref() },
            sha256: Some(&got.sha256),
            cache_control: rest.ends_with(keys::MANIFEST).then_some("private, no-cache"),
            ..PutOptions::of(known.as_deref().unwrap_or(guess))
        };
        self.to.put_file(&key, file.path(), options).await?;
        Ok(Copied { objects: 1, bytes: got.size_bytes, there: 0 })
    }

    async fn sha256_of(&self, key: &str) -> Result<Option<String>, StoreError> {
        let file = tempfile::NamedTempFile::new_in(self.scratch).map_err(StoreError::Scratch)?;
        Ok(self.to.get_file(key, file.path(), MAX_OBJECT_BYTES).await?.map(|got| got.sha256))
    }
}

/// What the keys below a prefix begin with.
fn below(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
}

/// MIME type and disposition of an object from a directory, which keeps neither. What is not known is saved, not shown.
fn by_name(key: &str) -> (&'static str, Option<String>) {
    let named = |how: &str| {
        let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let name: String = key.rsplit('/').next().unwrap_or(key).chars().filter(plain).collect();
        Some(format!("{how}; filename=\"{name}\""))
    };
    let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = match extension {
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        _ => return ("application/octet-stream", named("attachment")),
    };
    (known, named("inline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_goes_on_where_it_ended_and_mends_what_is_wrong() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("a directory");
            Store::local(path)
        };
        let (from, to) = (at("from"), at("to"));
        let folder = from.folder("acme", "1");
        let file = dir.path().join("f");
        std::fs::write(&file, "sound").expect("a file");
        let sound =
            from.put_addressed(&folder, "audio.mp3", &file, PutOptions::of("audio/mpeg")).await.expect("stored");
        from.put_bytes(&folder.manifest(), "{}".into(), PutOptions::of("application/json")).await.expect("stored");
        let copy = Copy { from: &from, to: &to, scratch: dir.path(), at_once: 4, verify: false };
        assert_eq!(copy.run(|_| ()).await.expect("copied"), Copied { objects: 2, bytes: 7, there: 0 });
        assert_eq!(copy.run(|_| ()).await.expect("copied"), Copied { objects: 0, bytes: 0, there: 2 });
        // A manifest that has changed since, and damage of the same size.
        from.put_bytes(&folder.manifest(), "[]".into(), PutOptions::of("application/json")).await.expect("stored");
        to.put_bytes(&sound.key, "SOUND".into(), PutOptions::of("audio/mpeg")).await.expect("stored");
        assert_eq!(copy.run(|_| ()).await.expect("copied"), Copied { objects: 1, bytes: 2, there: 1 });
        let verified = Copy { verify: true, ..copy };
        assert_eq!(verified.run(|_| ()).await.expect("copied"), Copied { objects: 1, bytes: 5, there: 1 });
        assert_eq!(to.get(&sound.key).await.expect("an answer").expect("is there"), "sound");
        // An object whose bytes are not those of its key is copied nowhere.
        from.put_bytes(&sound.key, "wrong".into(), PutOptions::of("audio/mpeg")).await.expect("stored");
        let refused = verified.run(|_| ()).await;
        assert!(matches!(refused, Err(StoreError::Checksum { .. })), "{refused:?}");
    }

    #[test]
    fn an_unknown_type_is_saved() {
        let of = |key: &str| by_name(key).1.expect("a disposition");
        assert_eq!(by_name("a/original.html").0, "application/octet-stream");
        assert_eq!(of("a/original.html"), "attachment; filename=\"original.html\"");
        assert_eq!((by_name("a/audio.mp3").0, &*of("a/audio.mp3")), ("audio/mpeg", "inline; filename=\"audio.mp3\""));
    }
}
