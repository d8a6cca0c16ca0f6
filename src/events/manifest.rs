//! `manifest.json`: written last next to the assets. Where it exists the job is done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Normalized;

/// Everything that is needed to say the same outcome again, word by word.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    written: Written,
    /// `data` of the outcome event, as far as this version knows it.
    pub data: Normalized,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Written {
    event_id: String,
    time: String,
    /// Not as a type: an older worker that says an outcome again leaves nothing out of what a newer one said.
    data: Value,
}

/// Why a manifest is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not what any version writes: damaged.
    #[error("it is no manifest ({0})")]
    Damaged(serde_json::Error),
    /// Of a version whose outcomes this one does not know. Where it differs is not said: the parser would quote what
    /// customers wrote.
    #[error("it is of another version")]
    Foreign,
}

impl Manifest {
    /// The manifest of a job that is done now. `event_id` is that of the outcome event, `time` its time (RFC 3339).
    ///
    /// # Errors
    /// Where `data` does not turn into JSON, which would be a bug.
    pub fn new(event_id: String, time: String, data: Normalized) -> serde_json::Result<Self> {
        Ok(Self { written: Written { event_id, time, data: serde_json::to_value(&data)? }, data })
    }

    /// Reads what [`Manifest::to_json`] wrote, in this version or in another.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub fn read(json: &[u8]) -> Result<Self, ManifestError> {
        let written: Written = serde_json::from_slice(json).map_err(ManifestError::Damaged)?;
        let data = Normalized::deserialize(&written.data).map_err(|_| ManifestError::Foreign)?;
        Ok(Self { written, data })
    }

    /// The file's contents.
    ///
    /// # Errors
    /// None that is known: all of it is JSON already.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.written)
    }

    /// `id` of the outcome event. Every repetition carries the same one, so that consumers can drop it.
    #[must_use]
    pub fn event_id(&self) -> &str {
        &self.written.event_id
    }

    /// `time` of the outcome event.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.written.time
    }

    /// `data` of the outcome event, word by word.
    #[must_use]
    pub const fn said(&self) -> &Value {
        &self.written.data
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

    #[test]
    fn what_an_older_worker_wrote_is_said_again_word_by_word() {
        let manifest = read(&written()).expect("a manifest");
        assert_eq!((manifest.data.media_id.as_str(), manifest.time()), ("m", "2026-11-22T10:00:01Z"));
        assert_eq!(*manifest.said(), written()["data"]);
        let again: Value = serde_json::from_slice(&manifest.to_json().expect("JSON")).expect("JSON");
        assert_eq!(again, written());
        let made = Manifest::new("6c108181".into(), "2026".into(), manifest.data).expect("JSON");
        assert_eq!(*made.said(), written()["data"]);
    }

    #[test]
    fn what_only_a_newer_worker_knows_is_said_too() {
        let mut newer = written();
        newer["data"]["transcript"] = json!({ "language": "pt" });
        newer["data"]["assets"][0]["language"] = json!("pt");
        newer["signature"] = json!("not this version's to keep");
        assert_eq!(*read(&newer).expect("a manifest").said(), newer["data"]);
    }

    #[test]
    fn damage_is_told_from_another_version() {
        let mut other = written();
        other["data"]["kind"] = json!("hologram");
        assert!(matches!(read(&other), Err(ManifestError::Foreign)));
        let cut = &written().to_string().into_bytes()[..100];
        for bytes in [cut, b"", b"{}", b"null", b"[1]"] {
            assert!(matches!(Manifest::read(bytes), Err(ManifestError::Damaged(_))));
        }
    }
}
