//! What manifests do not have, kept in the store, so that the index can be rebuilt: transcripts, texts that were changed, links
//! that were revoked. Each is one small object below `.catalog/`; an erased media has none.
//!
//! | key below `.catalog/` | what it is |
//! |---|---|
//! | `transcripts/<tenant>/<media_id>.json` | `{tenant, media_id, text, transcribed_at}` |
//! | `captions/<tenant>/<media_id>.json` | `{tenant, media_id, caption, captioned_at}` |
//! | `revoked/<capability>.json` | `{link, revoked_at}` |

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::index::Change;
use crate::error::Fault;
use crate::store::{PutOptions, Store, StoreError};

const TRANSCRIPTS: &str = "transcripts";
const CAPTIONS: &str = "captions";
const REVOKED: &str = "revoked";
/// How often another one may replace an object while one change is about to be written.
const MAX_RACES: usize = 16;
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");

/// The objects of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Overrides {
    store: Store,
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// [`Change::Transcribed`]
    Transcript,
    /// [`Change::Captioned`]
    Caption,
    /// A revoked link.
    Revoked,
}

impl Kept {
    pub(super) const ALL: [Self; 3] = [Self::Transcript, Self::Caption, Self::Revoked];

    const fn folder(self) -> &'static str {
        match self {
            Self::Transcript => TRANSCRIPTS,
            Self::Caption => CAPTIONS,
            Self::Revoked => REVOKED,
        }
    }
}

/// What an object says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// A change of a row.
    Change(Change),
    /// A link was revoked.
    Revoked {
        /// The id of its capability.
        link: String,
        /// When.
        at: Timestamp,
    },
}

impl Overrides {
    /// Those of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps what a change says that no manifest does, before the index has it; takes away what is kept of a media that was erased.
    ///
    /// # Errors
    /// What the store's error means for the message; then the change is to be made again.
    pub async fn keep(&self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Transcribed { tenant, media_id, text, transcribed_at } => {
                let at = transcribed_at.to_string();
                let value = json!({ "tenant": tenant, "media_id": media_id, "text": text, "transcribed_at": at });
                self.put_latest(TRANSCRIPTS, tenant, media_id, "transcribed_at", *transcribed_at, &value).await?;
            }
            Change::Captioned { tenant, media_id, caption, captioned_at } => {
                let at = captioned_at.to_string();
                let value = json!({ "tenant": tenant, "media_id": media_id, "caption": caption, "captioned_at": at });
                self.put_latest(CAPTIONS, tenant, media_id, "captioned_at", *captioned_at, &value).await?;
            }
            Change::Erased { tenant, media_id, .. } => {
                for folder in [TRANSCRIPTS, CAPTIONS] {
                    self.store.delete_all_versions(&self.key(folder, tenant, media_id)).await?;
                }
            }
            Change::Outcome(_) | Change::Expires { .. } => {}
        }
        Ok(())
    }

    /// Keeps that a link was revoked.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke(&self, link: &str, at: Timestamp) -> Result<(), StoreError> {
        let value = json!({ "link": link, "revoked_at": at.to_string() });
        let key = self.store.catalog_key(&[REVOKED, &format!("{link}.json")]);
        self.store.put_new(&key, Bytes::from(value.to_string()), OPTIONS).await.map(drop)
    }

    /// What the keys of all objects of a kind begin with.
    pub(super) fn prefix(&self, kept: Kept) -> String {
        format!("{}/", self.store.catalog_key(&[kept.folder()]))
    }

    /// What an object says; nothing where it is none of these.
    pub(super) fn read(kept: Kept, json: &[u8]) -> Option<Said> {
        let value: Value = serde_json::from_slice(json).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let time = |key: &str| text(key)?.parse::<Timestamp>().ok();
        Some(match kept {
            Kept::Transcript => Said::Change(Change::Transcribed {
                tenant: text("tenant")?,
                media_id: text("media_id")?,
                text: text("text")?,
                transcribed_at: time("transcribed_at")?,
            }),
            Kept::Caption => Said::Change(Change::Captioned {
                tenant: text("tenant")?,
                media_id: text("media_id")?,
                caption: text("caption"),
                captioned_at: time("captioned_at")?,
            }),
            Kept::Revoked => Said::Revoked { link: text("link")?, at: time("revoked_at")? },
        })
    }

    fn key(&self, folder: &str, tenant: &str, media_id: &str) -> String {
        self.store.catalog_key(&[folder, tenant, &format!("{media_id}.json")])
    }

    /// Puts an object where there is none, or one that is older by the time that stands in `member`.
    async fn put_latest(
        &self,
        folder: &str,
        tenant: &str,
        media_id: &str,
        member: &str,
        at: Timestamp,
        value: &Value,
    ) -> Result<(), StoreError> {
        let key = self.key(folder, tenant, media_id);
        let bytes = Bytes::from(value.to_string());
        for _ in 0..MAX_RACES {
            let Some((was, version)) = self.store.get_versioned(&key).await? else {
                if self.store.put_new(&key, bytes.clone(), OPTIONS).await? {
                    return Ok(());
                }
                continue;
            };
            let was = serde_json::from_slice::<Value>(&was).unwrap_or_default();
            let was = was.get(member).and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
            if was.is_some_and(|was| was >= at) || self.store.replace(&key, bytes.clone(), OPTIONS, &version).await? {
                return Ok(());
            }
        }
        let detail = "others replace it all the time".to_owned();
        Err(StoreError::Unavailable { action: "write an object of .catalog", detail, source: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(text: &str, at: &str) -> Change {
        let transcribed_at = at.parse().expect("a time");
        Change::Transcribed {
            tenant: "acme".to_owned(),
            media_id: "m/1".to_owned(),
            text: text.to_owned(),
            transcribed_at,
        }
    }

    #[tokio::test]
    async fn of_several_transcripts_the_latest_is_kept_and_none_of_an_erased_media() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::local(dir.path());
        let overrides = Overrides::new(store.clone());
        let kept = async || {
            let page = store.list(&overrides.prefix(Kept::Transcript), None, 10).await.expect("a list");
            let key = page.objects.first()?.key.clone();
            Overrides::read(Kept::Transcript, &store.get(&key).await.expect("read")?)
        };
        let late = transcript("late", "2026-11-22T10:00:02Z");
        for change in [&transcript("early", "2026-11-22T10:00:01Z"), &late, &transcript("x", "2026-11-22T10:00:00Z")] {
            overrides.keep(change).await.expect("kept");
        }
        assert_eq!(kept().await, Some(Said::Change(late)));
        let erased = Change::Erased {
            tenant: "acme".to_owned(),
            media_id: "m/1".to_owned(),
            certificate: "c".to_owned(),
            erased_at: Timestamp::now(),
        };
        overrides.keep(&erased).await.expect("taken away");
        assert_eq!(kept().await, None);
    }

    #[tokio::test]
    async fn a_revocation_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::local(dir.path());
        let overrides = Overrides::new(store.clone());
        let at = Timestamp::from_second(1_800_000_000).expect("a time");
        for _ in 0..2 {
            overrides.revoke("0a1b", at).await.expect("kept");
        }
        let page = store.list(&overrides.prefix(Kept::Revoked), None, 10).await.expect("a list");
        let json = store.get(&page.objects[0].key).await.expect("read").expect("there");
        assert_eq!(Overrides::read(Kept::Revoked, &json), Some(Said::Revoked { link: "0a1b".to_owned(), at }));
    }
}
