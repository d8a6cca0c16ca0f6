//! A manifest that says *erased*: it stands in the place of the manifest of a media, so that no request brings the media back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ERASED_TYPE, Erased, Event, Record, update_id};

/// The word for it in `state`.
pub(super) const STATE: &str = "erased";

/// A manifest that says that the media was erased. What it holds of the media is its ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Tombstone(Record<Erased>);

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    event_id: String,
    time: String,
    state: String,
    data: Value,
}

impl Tombstone {
    /// The tombstone of a media.
    ///
    /// # Errors
    /// Where `erased` does not turn into JSON, which would be a bug.
    pub fn new(erased: Erased) -> serde_json::Result<Self> {
        let id = update_id(&erased.tenant, &erased.media_id, ERASED_TYPE, &erased.certificate);
        Record::new(id, erased.erased_at.clone(), erased).map(Self)
    }

    /// What the tombstone says; nothing where a manifest is none.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let Document { event_id, time, state, data } = serde_json::from_slice(json).ok()?;
        if state != STATE {
            return None;
        }
        Record::stored(event_id, time, data).ok().map(Self)
    }

    /// The manifest's contents.
    ///
    /// # Errors
    /// None that is known: all of it is JSON already.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&Document {
            event_id: self.0.event_id().to_owned(),
            time: self.0.time().to_owned(),
            state: STATE.to_owned(),
            data: self.0.value().clone(),
        })
    }

    /// What was erased.
    #[must_use]
    pub const fn erased(&self) -> &Erased {
        &self.0.data
    }

    /// The event that tells of it: always the same.
    #[must_use]
    pub fn event(&self, source: &str) -> Event {
        Event {
            id: self.0.event_id().to_owned(),
            source: source.to_owned(),
            kind: ERASED_TYPE.to_owned(),
            subject: Some(format!("{}/{}", self.0.data.tenant, self.0.data.media_id)),
            time: Some(self.0.time().to_owned()),
            trace: None,
            data: self.0.value().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{ErasedBecause, Manifest, ManifestError};

    #[test]
    fn a_tombstone_is_no_manifest_and_comes_back_as_it_went() {
        let erased = Erased {
            tenant: "acme".to_owned(),
            media_id: "m".to_owned(),
            certificate: "c-1".to_owned(),
            because: ErasedBecause::Request,
            erased_at: "2026-11-27T08:00:00Z".to_owned(),
            residues: Vec::new(),
        };
        let tombstone = Tombstone::new(erased).expect("JSON");
        let json = tombstone.to_json().expect("JSON");
        assert_eq!(Tombstone::read(&json).as_ref(), Some(&tombstone));
        assert!(matches!(Manifest::read(&json), Err(ManifestError::Erased)));
        assert_eq!(tombstone.event("mediamill").id, tombstone.event("another").id);
        assert!(Tombstone::read(b"{}").is_none() && Tombstone::read(br#"{"state":"erased"}"#).is_none());
    }
}
