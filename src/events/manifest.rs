//! `manifest.json`: written last, next to the objects that it names. Where it exists the media has an outcome.
//!
//! A manifest is `{event_id, time, state, data, revisions}`. Its first four members are the current outcome;
//! `revisions` lists every outcome that the media had, oldest first, so that an event that is delivered again is
//! answered with the outcome that it had and not with a later one. Superseded revisions carry their data, the current
//! one does not repeat it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Message, Normalized, Record, Rejected, tombstone};

/// Most revisions of one media. Each takes a few kilobytes of its manifest, which is read whole for every request.
pub const MAX_REVISIONS: u32 = 100;

/// The outcomes of one media, the current one last.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    current: StoredOutcome,
    profile: String,
    superseded: Vec<Entry>,
}

/// An outcome that a manifest keeps.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredOutcome {
    /// Assets are stored.
    Normalized(Box<Record<Normalized>>),
    /// The file was rejected after it had been fetched; its original is stored.
    Rejected(Box<Record<Rejected>>),
}

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    event_id: String,
    time: String,
    /// Version 0.1 wrote none, and kept normalized media only.
    #[serde(default)]
    state: State,
    /// Not as a type: an older worker that repeats an outcome leaves nothing out of what a newer one wrote.
    data: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    #[default]
    Normalized,
    Rejected,
}

/// One revision in the list of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    number: u32,
    cause: String,
    event_id: String,
    time: String,
    #[serde(default)]
    state: State,
    profile: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// Why a manifest is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not what any version writes: damaged. Where is not told: the parser would quote what customers wrote.
    #[error("it is not a manifest that any version writes")]
    Damaged,
    /// A tombstone: [`Tombstone::read`](super::Tombstone::read) reads it.
    #[error("it says that the media was erased")]
    Erased,
    /// In a state, or with data or revisions, that this version does not know.
    #[error("a worker of another version wrote it")]
    Foreign,
}

impl Manifest {
    /// The first manifest of a media, or the one that replaces all that `predecessor` had. `profile` is the name of the
    /// profile that the outcome goes by.
    #[must_use]
    pub fn new(outcome: StoredOutcome, profile: String, predecessor: Option<&Self>) -> Self {
        let superseded = predecessor.map(Self::all_superseded).unwrap_or_default();
        Self { current: outcome, profile, superseded }
    }

    /// Reads what [`Manifest::to_json`] wrote, in this version or in another.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub fn read(json: &[u8]) -> Result<Self, ManifestError> {
        let value: Value = serde_json::from_slice(json).map_err(|_| ManifestError::Damaged)?;
        if value.get("state").and_then(Value::as_str) == Some(tombstone::STATE) {
            return Err(ManifestError::Erased);
        }
        // Before anything else: what stands in a manifest of an unknown state is not for this version to judge.
        if value.get("state").is_some_and(|state| State::deserialize(state).is_err()) {
            return Err(ManifestError::Foreign);
        }
        // What has the members of every version's manifest was written by one of them.
        let is_whole = value.get("event_id").is_some() && value.get("data").is_some();
        let unread = if is_whole { ManifestError::Foreign } else { ManifestError::Damaged };
        let Ok(Document { event_id, time, state, data, mut revisions }) = serde_json::from_value(value) else {
            return Err(unread);
        };
        let current = StoredOutcome::read(state, event_id, time, data).map_err(|_| ManifestError::Foreign)?;
        // The last entry is the current outcome; version 0.1 wrote no list.
        let profile = match revisions.pop() {
            Some(entry) => entry.profile,
            None => current.profile().unwrap_or_default().to_owned(),
        };
        Ok(Self { current, profile, superseded: revisions })
    }

    /// The file's contents.
    ///
    /// # Errors
    /// None that is known: all of it is JSON already.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let (event_id, time, data) = self.current.parts();
        let mut revisions = self.superseded.clone();
        revisions.push(Entry { data: None, ..self.current_entry() });
        serde_json::to_vec_pretty(&Document {
            event_id: event_id.to_owned(),
            time: time.to_owned(),
            state: self.current.state(),
            data: data.clone(),
            revisions,
        })
    }

    /// The outcome that holds now.
    #[must_use]
    pub const fn current(&self) -> &StoredOutcome {
        &self.current
    }

    /// Name of the profile that the current outcome goes by.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// Number of the revision that comes next; the first one is 1.
    #[must_use]
    pub fn next_revision(&self) -> u32 {
        self.current.revision().saturating_add(1)
    }

    /// The outcome that the event with this id had, where it made one.
    ///
    /// # Errors
    /// [`ManifestError::Foreign`] where this version does not understand it.
    pub fn outcome_of(&self, cause: &str) -> Result<Option<StoredOutcome>, ManifestError> {
        if self.current.cause() == cause {
            return Ok(Some(self.current.clone()));
        }
        let Some(entry) = self.superseded.iter().rev().find(|entry| entry.cause == cause) else { return Ok(None) };
        let Entry { event_id, time, state, data, .. } = entry.clone();
        let outcome = StoredOutcome::read(state, event_id, time, data.unwrap_or_default());
        outcome.map(Some).map_err(|_| ManifestError::Foreign)
    }

    /// Keys of all objects that the current outcome names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let (assets, original) = match &self.current {
            StoredOutcome::Normalized(record) => (record.data.assets.as_slice(), record.data.original.key.as_deref()),
            StoredOutcome::Rejected(record) => {
                (&[][..], record.data.original.as_ref().and_then(|original| original.key.as_deref()))
            }
        };
        assets.iter().map(|asset| asset.key.as_str()).chain(original)
    }

    /// The messages that carried the media, as its outcomes tell of them, the current one last.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let (_, _, current) = self.current.parts();
        let all = self.superseded.iter().filter_map(|entry| entry.data.as_ref()).chain([current]);
        all.filter_map(|data| Message::deserialize(data.get("message")?).ok()).collect()
    }

    /// Tenant and id of the media.
    #[must_use]
    pub fn media(&self) -> (&str, &str) {
        match &self.current {
            StoredOutcome::Normalized(record) => (&record.data.tenant, &record.data.media_id),
            StoredOutcome::Rejected(record) => (&record.data.tenant, &record.data.media_id),
        }
    }

    /// When the media is to be deleted, as the current outcome says.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        match &self.current {
            StoredOutcome::Normalized(record) => record.data.expires_at.as_deref(),
            StoredOutcome::Rejected(record) => record.data.expires_at.as_deref(),
        }
    }

    /// Keys of all objects that any of its outcomes names, also those that are superseded.
    #[must_use]
    pub fn named_keys(&self) -> BTreeSet<String> {
        let key = |object: &Value| object.get("key").and_then(Value::as_str).map(str::to_owned);
        let superseded = self.superseded.iter().filter_map(|entry| entry.data.as_ref()).flat_map(|data| {
            let assets = data.get("assets").and_then(Value::as_array).into_iter().flatten();
            assets.chain(data.get("original")).filter_map(key)
        });
        self.keys().map(str::to_owned).chain(superseded).collect()
    }

    fn all_superseded(&self) -> Vec<Entry> {
        let mut all = self.superseded.clone();
        all.push(self.current_entry());
        all
    }

    fn current_entry(&self) -> Entry {
        let (event_id, time, data) = self.current.parts();
        Entry {
            number: self.current.revision(),
            cause: self.current.cause().to_owned(),
            event_id: event_id.to_owned(),
            time: time.to_owned(),
            state: self.current.state(),
            profile: self.profile.clone(),
            data: Some(data.clone()),
        }
    }
}

impl StoredOutcome {
    fn read(state: State, event_id: String, time: String, data: Value) -> serde_json::Result<Self> {
        match state {
            State::Normalized => Record::stored(event_id, time, data).map(Box::new).map(Self::Normalized),
            State::Rejected => Record::stored(event_id, time, data).map(Box::new).map(Self::Rejected),
        }
    }

    const fn state(&self) -> State {
        match self {
            Self::Normalized(_) => State::Normalized,
            Self::Rejected(_) => State::Rejected,
        }
    }

    fn parts(&self) -> (&str, &str, &Value) {
        match self {
            Self::Normalized(record) => (record.event_id(), record.time(), record.value()),
            Self::Rejected(record) => (record.event_id(), record.time(), record.value()),
        }
    }

    fn cause(&self) -> &str {
        match self {
            Self::Normalized(record) => &record.data.cause,
            Self::Rejected(record) => &record.data.cause,
        }
    }

    fn revision(&self) -> u32 {
        match self {
            Self::Normalized(record) => record.data.revision,
            Self::Rejected(record) => record.data.revision.unwrap_or(1),
        }
    }

    fn profile(&self) -> Option<&str> {
        match self {
            Self::Normalized(record) => Some(&record.data.decision.profile),
            Self::Rejected(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As version 0.1 wrote it.
    fn written() -> Value {
        json!({
            "event_id": "6c108181-d7d2-592e-afee-894179822c5a",
            "time": "2026-11-22T10:00:01Z",
            "data": {
                "tenant": "acme", "media_id": "m", "cause": "e", "kind": "document",
                "original": {
                    "mime_type": "application/pdf", "size_bytes": 7, "sha256": "ab", "container": "pdf", "streams": [],
                    "damaged": false, "key": "acme/m/original.pdf",
                },
                "assets": [{
                    "role": "original", "key": "acme/m/original.pdf", "mime_type": "application/pdf", "size_bytes": 7,
                    "sha256": "ab",
                }],
                "decision": {
                    "action": "kept-original", "reasons": [], "profile": "crm", "profile_version": "d3109f3f0aec",
                    "bytes_before": 7, "bytes_after": 7,
                },
                "timings_ms": { "queue": 1, "fetch": 2, "decode": 3, "store": 4, "total": 10 },
                "worker": {
                    "version": "0.1.0", "libav": {},
                    "sandbox": { "mode": "required", "landlock": "full", "landlock_abi": 7, "seccomp": true },
                },
            },
        })
    }

    fn read(json: &Value) -> Result<Manifest, ManifestError> {
        Manifest::read(json.to_string().as_bytes())
    }

    fn normalized(manifest: &Manifest) -> &Record<Normalized> {
        match manifest.current() {
            StoredOutcome::Normalized(record) => record,
            StoredOutcome::Rejected(_) => panic!("a rejection"),
        }
    }

    fn again(manifest: &Manifest) -> Value {
        serde_json::from_slice(&manifest.to_json().expect("JSON")).expect("JSON")
    }

    #[test]
    fn what_an_older_worker_wrote_is_repeated_word_by_word() {
        let manifest = read(&written()).expect("a manifest");
        let record = normalized(&manifest);
        assert_eq!(
            (record.data.media_id.as_str(), record.time(), manifest.profile()),
            ("m", "2026-11-22T10:00:01Z", "crm")
        );
        assert_eq!(*record.value(), written()["data"]);
        assert_eq!((again(&manifest)["data"].clone(), manifest.next_revision()), (written()["data"].clone(), 2));
        assert_eq!(manifest.outcome_of("e").expect("known").as_ref(), Some(manifest.current()));
    }

    #[test]
    fn what_only_a_newer_worker_knows_is_repeated_too() {
        let mut newer = written();
        newer["data"]["transcript"] = json!({ "language": "pt" });
        newer["data"]["assets"][0]["language"] = json!("pt");
        newer["signature"] = json!("not this version's to keep");
        let manifest = read(&newer).expect("a manifest");
        assert_eq!(*normalized(&manifest).value(), newer["data"]);
        let edit = |data: &mut Value| data["cause"] = json!("other");
        let retold = normalized(&manifest).retold("id".to_owned(), edit).expect("JSON");
        assert_eq!(
            (retold.value()["transcript"]["language"].as_str(), retold.data.cause.as_str()),
            (Some("pt"), "other")
        );
    }

    #[test]
    fn every_event_finds_its_own_revision() {
        let first = read(&written()).expect("a manifest");
        let edit = |data: &mut Value| {
            data["cause"] = json!("later");
            data["revision"] = json!(2);
            data["decision"]["profile"] = json!("voice");
        };
        let second = normalized(&first).retold("id-2".to_owned(), edit).expect("JSON");
        let manifest = Manifest::new(StoredOutcome::Normalized(Box::new(second)), "voice".to_owned(), Some(&first));
        let json = again(&manifest);
        let list: Vec<_> = json["revisions"].as_array().expect("a list").iter().collect();
        let row = |n: usize| (list[n]["number"].as_u64(), list[n]["cause"].as_str(), list[n]["profile"].as_str());
        assert_eq!((row(0), row(1)), ((Some(1), Some("e"), Some("crm")), (Some(2), Some("later"), Some("voice"))));
        assert_eq!((list[0]["data"].clone(), list[1].get("data")), (written()["data"].clone(), None));
        let read = read(&json).expect("a manifest");
        assert_eq!((&read, read.next_revision()), (&manifest, 3));
        let of = |cause| read.outcome_of(cause).expect("known").map(|outcome| outcome.parts().0.to_owned());
        assert_eq!(of("e").as_deref(), written()["event_id"].as_str());
        assert_eq!((of("later").as_deref(), of("never")), (Some("id-2"), None));
    }

    #[test]
    fn damage_is_told_from_another_version() {
        let mut other = written();
        other["data"]["kind"] = json!("hologram");
        assert!(matches!(read(&other), Err(ManifestError::Foreign)));
        assert!(matches!(read(&json!({ "state": "erased" })), Err(ManifestError::Erased)));
        for state in [json!({ "state": "archived" }), json!({ "state": 7, "data": null })] {
            assert!(matches!(read(&state), Err(ManifestError::Foreign)), "{state}");
        }
        let mut later = written();
        later["revisions"] = json!([{ "number": 1, "state": "archived" }]);
        assert!(matches!(read(&later), Err(ManifestError::Foreign)), "revisions of a later version");
        let cut = &written().to_string().into_bytes()[..100];
        for bytes in [cut, b"", b"{}", b"null", b"[1]", br#"{"state":"normalized"}"#] {
            assert!(matches!(Manifest::read(bytes), Err(ManifestError::Damaged)));
        }
    }
}
