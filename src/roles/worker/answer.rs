//! What is known of a media before its job runs, and whether that already answers the request. It uses no store and no
//! clock.
//!
//! | the request | is answered with |
//! |---|---|
//! | event id that a revision was made for | that revision, with exactly the same data |
//! | another id, same profile name | the current revision, with this request's `cause` and copied fields |
//! | another id, another profile name or `renormalize` | a new revision |
//! | another id, media rejected | a new try, which makes a new revision |
//! | another id, declared size or SHA-256 of other bytes | a rejection: `event.media-id-reused` |

use serde_json::Value;

use super::job::Job;
use super::outcome::{About, Outcome};
use crate::error::{Code, Fault};
use crate::events::{Declared, MAX_REVISIONS, Manifest, Normalized, Received, Record, StoredOutcome};
use crate::source::{Fetched, declared_sha256};
use crate::store::Version;

/// What the store has of a media.
#[derive(Debug)]
pub(super) enum Seen {
    /// It has no manifest.
    Nothing,
    /// Its manifest cannot be read by any version. A new one takes its place.
    Damaged(Version),
    /// Its manifest.
    Found(Box<Manifest>, Version),
}

/// Stored bytes of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptBytes {
    pub(super) key: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
}

impl Seen {
    /// The outcome of `job` where the manifest has it, `profile` being the name of the profile that the job goes by.
    ///
    /// # Errors
    /// [`Fault::Rejected`] where the request contradicts the manifest or asks for too many revisions,
    /// [`Fault::Transient`] where only another version of the worker understands the manifest.
    pub(super) fn answer(&self, job: &Job, profile: &str) -> Result<Option<Outcome>, Fault> {
        let Self::Found(manifest, _) = self else { return Ok(None) };
        if let Some(stored) = manifest.outcome_of(&job.cause).map_err(|_| outdated())? {
            return Ok(Some(stored.into()));
        }
        let received = &job.received;
        if let Some(record) = self.normalized() {
            same_bytes(received.declared.as_ref(), record)?;
            if !received.renormalize && manifest.profile() == profile {
                return for_request(record, &job.cause, received).map(|record| Some(Outcome::Normalized(record)));
            }
        }
        if manifest.next_revision() > MAX_REVISIONS {
            let message = format!("the media has {MAX_REVISIONS} revisions already and gets no more");
            return Err(Fault::rejected(Code::EventLimitRevisions, message));
        }
        Ok(None)
    }

    /// What the media was normalized to, where it was.
    pub(super) fn normalized(&self) -> Option<&Record<Normalized>> {
        match self {
            Self::Found(manifest, _) => match manifest.current() {
                StoredOutcome::Normalized(record) => Some(record),
                StoredOutcome::Rejected(_) => None,
            },
            Self::Nothing | Self::Damaged(_) => None,
        }
    }

    /// Where the original of the media is kept, where it is.
    pub(super) fn original(&self) -> Option<KeptBytes> {
        let Self::Found(manifest, _) = self else { return None };
        let (key, size_bytes, sha256) = match manifest.current() {
            StoredOutcome::Normalized(record) => {
                let original = &record.data.original;
                (original.key.clone()?, original.size_bytes, &original.sha256)
            }
            StoredOutcome::Rejected(record) => {
                let original = record.data.original.as_ref()?;
                (original.key.clone()?, original.size_bytes, &original.sha256)
            }
        };
        Some(KeptBytes { key, size_bytes, sha256: sha256.clone() })
    }

    /// Refuses bytes that are not those which the media was normalized from.
    pub(super) fn accepts(&self, fetched: &Fetched) -> Result<(), Fault> {
        match self.normalized() {
            Some(record) if record.data.original.sha256 != fetched.sha256 => Err(reused()),
            Some(_) | None => Ok(()),
        }
    }
}

impl KeptBytes {
    /// Whether these are bytes that the event may mean, by what it declares of them.
    pub(super) fn fits(&self, declared: Option<&Declared>) -> bool {
        let size = declared.and_then(|declared| declared.size_bytes).is_none_or(|size| size == self.size_bytes);
        let sha256 = declared.map(declared_sha256).transpose().ok().map(Option::flatten);
        size && sha256.is_some_and(|sha256| sha256.is_none_or(|sha256| sha256 == self.sha256))
    }
}

/// Nothing that was declared is ignored: other bytes than the media's need a media id of their own.
fn same_bytes(declared: Option<&Declared>, record: &Record<Normalized>) -> Result<(), Fault> {
    let Some(declared) = declared else { return Ok(()) };
    let original = &record.data.original;
    let sha256 = declared_sha256(declared)?;
    let size_differs = declared.size_bytes.is_some_and(|size_bytes| size_bytes != original.size_bytes);
    if size_differs || sha256.is_some_and(|sha256| sha256 != original.sha256) {
        return Err(reused());
    }
    Ok(())
}

fn reused() -> Fault {
    let message = "the media of this media_id has other bytes: another file needs another media_id";
    Fault::rejected(Code::EventMediaIdReused, message)
}

pub(super) fn outdated() -> Fault {
    let message = "a worker of another version wrote this media's manifest, and this one cannot read it";
    Fault::transient(Code::WorkerOutdated, message)
}

/// The same outcome as the answer to another request: its time, timings and assets, and what the request gave to be echoed.
fn for_request(
    record: &Record<Normalized>,
    cause: &str,
    received: &Received,
) -> Result<Box<Record<Normalized>>, Fault> {
    let data = &record.data;
    let Received { tenant, media_id, .. } = received;
    let about = About { tenant, media_id, profile_version: &data.decision.profile_version, cause };
    let echoes = serde_json::to_value(received).unwrap_or_default();
    let edit = |value: &mut Value| {
        value["cause"] = cause.into();
        let Some(fields) = value.as_object_mut() else { return };
        for name in ["message", "privacy", "tags", "context"] {
            match echoes.get(name) {
                Some(echo) => fields.insert(name.to_owned(), echo.clone()),
                None => fields.shift_remove(name),
            };
        }
        let Some(original) = fields.get_mut("original").and_then(Value::as_object_mut) else { return };
        let declared = received.declared.as_ref();
        for (name, text) in [
            ("declared_mime_type", declared.and_then(|declared| declared.mime_type.as_deref())),
            ("file_name", declared.and_then(|declared| declared.file_name.as_deref())),
        ] {
            if let Some(text) = text {
                original.insert(name.to_owned(), text.into());
            }
        }
    };
    record.retold(about.normalized_id(data.revision), edit).map(Box::new).map_err(|_| outdated())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A media that event `e` had normalized by profile `crm`.
    fn seen() -> Seen {
        let manifest = json!({
            "event_id": "one", "time": "2026-11-22T10:00:01Z", "state": "normalized",
            "data": {
                "tenant": "acme", "media_id": "m", "cause": "e", "revision": 1, "kind": "document", "tags": ["old"],
                "original": {
                    "mime_type": "application/pdf", "size_bytes": 7, "sha256": "ab".repeat(32), "container": "pdf",
                    "damaged": false, "key": "acme/m/ab/original.pdf",
                },
                "assets": [],
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
        });
        let manifest = Manifest::read(manifest.to_string().as_bytes()).expect("a manifest");
        Seen::Found(Box::new(manifest), Version::of("v"))
    }

    fn job(cause: &str, more: Value) -> Job {
        let mut received = json!({
            "tenant": "acme", "media_id": "m", "origin": { "kind": "http", "url": "https://a.example/x" },
        });
        received.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        Job::new(cause.to_owned(), None, serde_json::from_value(received).expect("valid"), 0)
    }

    fn code(answer: Result<Option<Outcome>, Fault>) -> Option<Code> {
        answer.expect_err("a fault").code()
    }

    #[test]
    fn the_same_event_has_the_same_answer_whatever_else_it_says_now() {
        let again = job("e", json!({ "declared": { "size_bytes": 99 }, "renormalize": true, "tags": ["new"] }));
        let outcome = seen().answer(&again, "voice").expect("an answer").expect("an outcome");
        let event = outcome.event("mediamill", None);
        assert_eq!((event.id.as_str(), &event.data["tags"]), ("one", &json!(["old"])));
    }

    #[test]
    fn another_event_has_its_own_id_cause_and_echoes() {
        let other = job("f", json!({ "tags": ["new"], "context": 7 }));
        let event = seen().answer(&other, "crm").expect("an answer").expect("an outcome").event("mediamill", None);
        assert_eq!(
            (&event.data["cause"], &event.data["tags"], &event.data["context"]),
            (&json!("f"), &json!(["new"]), &json!(7))
        );
        assert_eq!(
            (event.time.as_deref(), &event.data["timings_ms"]["total"]),
            (Some("2026-11-22T10:00:01Z"), &json!(10))
        );
        assert_ne!(event.id, "one");
        let bare = seen().answer(&job("g", json!({})), "crm").expect("an answer").expect("an outcome");
        assert_eq!(bare.event("mediamill", None).data.get("tags"), None, "nobody's tags are another's");
    }

    #[test]
    fn another_profile_or_renormalize_is_work() {
        assert_eq!(seen().answer(&job("f", json!({})), "voice").expect("no fault"), None);
        assert_eq!(seen().answer(&job("f", json!({ "renormalize": true })), "crm").expect("no fault"), None);
        assert_eq!(Seen::Nothing.answer(&job("f", json!({})), "crm").expect("no fault"), None);
        assert_eq!(Seen::Damaged(Version::of("v")).answer(&job("f", json!({})), "crm").expect("no fault"), None);
    }

    #[test]
    fn what_was_declared_is_compared() {
        for declared in [json!({ "size_bytes": 8 }), json!({ "sha256": "cd".repeat(32) })] {
            for profile in ["crm", "voice"] {
                let other = job("f", json!({ "declared": declared }));
                assert_eq!(code(seen().answer(&other, profile)), Some(Code::EventMediaIdReused));
            }
        }
        let same = job("f", json!({ "declared": { "size_bytes": 7, "sha256": "AB".repeat(32) } }));
        assert!(seen().answer(&same, "crm").expect("no fault").is_some());
        let odd = job("f", json!({ "declared": { "sha256": "none" } }));
        assert!(seen().answer(&odd, "crm").is_err());
    }

    #[test]
    fn revisions_come_to_an_end() {
        let Seen::Found(mut manifest, version) = seen() else { panic!("a manifest") };
        for revision in 2..=MAX_REVISIONS {
            let StoredOutcome::Normalized(record) = manifest.current() else { panic!("normalized") };
            let edit = |data: &mut Value| data["revision"] = json!(revision);
            let next = StoredOutcome::Normalized(Box::new(record.retold("id".to_owned(), edit).expect("JSON")));
            manifest = Box::new(Manifest::new(next, "crm".to_owned(), Some(&manifest)));
        }
        let seen = Seen::Found(manifest, version);
        let more = job("f", json!({ "renormalize": true }));
        assert_eq!(code(seen.answer(&more, "crm")), Some(Code::EventLimitRevisions));
        assert!(seen.answer(&job("f", json!({})), "crm").expect("no fault").is_some(), "answering is no revision");
    }
}
