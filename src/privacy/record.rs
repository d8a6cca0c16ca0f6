//! The objects below `.catalog/`, as they are written. Times are RFC 3339.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ContactHash, Selector};
use crate::events::{ConsentStatus, ErasedBecause, Residue};

/// What is known of a person, a conversation or a media. Two of them join to one in which nothing is lost; the order of joining
/// does not matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// All hashes that the person is known by. The first in order names the person.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<ContactHash>,
    /// The latest erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasureMark>,
    /// The latest decision about each purpose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<String, Decision>,
    /// Holds, by case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, HoldState>,
    /// How long media of this person are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A tombstone: nothing that was sent up to `at` is stored, or ever again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ErasureMark {
    /// Up to when it covers what was sent.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Number of the erasure.
    pub certificate: String,
}

/// What was decided about a purpose, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// What.
    pub status: ConsentStatus,
    /// When.
    #[schemars(with = "String")]
    pub decided_at: Timestamp,
    /// Where the proof is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Whether something is held for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldState {
    /// Whether it is.
    pub held: bool,
    /// Since when it is so.
    #[schemars(with = "String")]
    pub decided_at: Timestamp,
}

/// How long media are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// In days from when they were sent.
    pub days: u32,
    /// When that was decided.
    #[schemars(with = "String")]
    pub decided_at: Timestamp,
}

impl Decision {
    /// Later wins, and of two at the same moment the one that forbids more.
    fn rank(&self) -> (Timestamp, u8, Option<&str>) {
        let strictness = match self.status {
            ConsentStatus::Granted => 0,
            ConsentStatus::Denied => 1,
            ConsentStatus::Withdrawn => 2,
        };
        (self.decided_at, strictness, self.evidence.as_deref())
    }
}

impl Record {
    /// Takes over what `other` knows and this does not.
    pub fn join(&mut self, other: &Self) {
        self.aliases.extend(other.aliases.iter().cloned());
        self.erased = self.erased.take().max(other.erased.clone());
        for (purpose, decision) in &other.consents {
            if self.consents.get(purpose).is_none_or(|own| own.rank() < decision.rank()) {
                self.consents.insert(purpose.clone(), decision.clone());
            }
        }
        for (case, hold) in &other.holds {
            let rank = |hold: &HoldState| (hold.decided_at, hold.held);
            if self.holds.get(case).is_none_or(|own| rank(own) < rank(hold)) {
                self.holds.insert(case.clone(), *hold);
            }
        }
        // Of two at the same moment the shorter one.
        let rank = |kept: &Retention| (kept.decided_at, u32::MAX - kept.days);
        if let Some(retention) = other.retention
            && self.retention.is_none_or(|own| rank(&own) < rank(&retention))
        {
            self.retention = Some(retention);
        }
        for (name, value) in &other.other {
            self.other.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Cases that it is held for.
    pub fn held_for(&self) -> impl Iterator<Item = &str> {
        self.holds.iter().filter(|(_, hold)| hold.held).map(|(case, _)| case.as_str())
    }

    /// The erasure that covers what was sent at this time, where there is one.
    #[must_use]
    pub fn covers(&self, sent_at: Timestamp) -> Option<&ErasureMark> {
        self.erased.as_ref().filter(|mark| sent_at <= mark.at)
    }
}

/// An erasure that was begun: whoever finds it finishes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// Its number, which is that of its certificate.
    pub number: String,
    /// Whose media.
    pub tenant: String,
    /// Which.
    pub selector: Selector,
    /// Why.
    pub because: ErasedBecause,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was begun.
    pub requested_at: Timestamp,
    /// Up to when what was sent is covered.
    pub erased_at: Timestamp,
    /// What was found; nothing before it was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<PlannedMedia>>,
    /// Manifests that could not be read, so that it is not known whose they are.
    #[serde(default)]
    pub unreadable_manifests: u64,
}

/// A media that is to be erased, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedMedia {
    /// The media.
    pub media_id: String,
    /// How many objects it had.
    pub objects: u64,
    /// SHA-256 over their keys in order, each with a line feed behind it.
    pub keys_sha256: String,
    /// Cases that it is held for: then it stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_for: Vec<String>,
}

/// What an erasure did, for whoever has to prove it. It names no person, and no object in clear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Its number.
    pub number: String,
    /// Whose media.
    pub tenant: String,
    /// What was asked for: `media`, `contact` or `conversation`.
    pub selected_by: String,
    /// Why.
    pub because: ErasedBecause,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was begun.
    #[schemars(with = "String")]
    pub requested_at: Timestamp,
    /// Up to when what was sent is covered, now and later.
    #[schemars(with = "String")]
    pub erased_at: Timestamp,
    /// When everything was verified to be gone.
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    /// How many media are gone.
    pub media: u64,
    /// How many objects they had.
    pub objects: u64,
    /// How many versions and marks of objects were removed; fewer where an earlier attempt had begun.
    pub versions: u64,
    /// What is gone, by media.
    pub erased: Vec<PlannedMedia>,
    /// What stays, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedMedia>,
    /// Manifests that could not be read, so that it is not known whose they are.
    #[serde(default)]
    pub unreadable_manifests: u64,
    /// Messages that waited in the dead-letter queue and were thrown away.
    #[serde(default)]
    pub dead_letters: u64,
    /// What is left elsewhere, and until when.
    pub residues: Vec<Residue>,
}

/// A media that was not erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedMedia {
    /// The media.
    pub media_id: String,
    /// Cases that it is held for.
    pub held_for: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn decided(status: ConsentStatus, second: i64) -> Record {
        let decision = Decision { status, decided_at: at(second), evidence: None };
        Record { consents: BTreeMap::from([("store".to_owned(), decision)]), ..Record::default() }
    }

    fn joined(records: &[&Record]) -> Record {
        let mut all = Record::default();
        records.iter().for_each(|record| all.join(record));
        all
    }

    #[test]
    fn records_join_in_any_order_to_the_same() {
        let mark = |second: i64, number: &str| {
            let mark = ErasureMark { at: at(second), certificate: number.to_owned() };
            Record { erased: Some(mark), ..Record::default() }
        };
        let hold = |held, second| {
            let hold = HoldState { held, decided_at: at(second) };
            Record { holds: BTreeMap::from([("case-1".to_owned(), hold)]), ..Record::default() }
        };
        let records = [
            decided(ConsentStatus::Granted, 5),
            decided(ConsentStatus::Withdrawn, 5),
            decided(ConsentStatus::Granted, 4),
            mark(3, "a"),
            mark(9, "b"),
            hold(true, 1),
            hold(false, 2),
        ];
        let forward: Vec<&Record> = records.iter().collect();
        let backward: Vec<&Record> = records.iter().rev().collect();
        let all = joined(&forward);
        assert_eq!(all, joined(&backward));
        assert_eq!(all, joined(&[&all, &all]), "joining again changes nothing");
        assert_eq!(all.consents["store"].status, ConsentStatus::Withdrawn, "of two at once the stricter one");
        assert_eq!(all.erased.as_ref().map(|mark| mark.certificate.as_str()), Some("b"));
        assert_eq!(all.held_for().count(), 0);
    }

    #[test]
    fn a_tombstone_covers_what_was_sent_up_to_it() {
        let mark = ErasureMark { at: at(10), certificate: "c".to_owned() };
        let record = Record { erased: Some(mark), ..Record::default() };
        assert!(record.covers(at(10)).is_some() && record.covers(at(9)).is_some() && record.covers(at(11)).is_none());
        assert!(Record::default().covers(at(0)).is_none());
    }

    #[test]
    fn what_a_later_version_wrote_stays() {
        let json = r#"{"aliases":["ab"],"restricted":true}"#;
        let mut record: Record = serde_json::from_str(json).expect("a record");
        record.join(&decided(ConsentStatus::Denied, 1));
        let again = serde_json::to_value(&record).expect("JSON");
        assert_eq!(again["restricted"], serde_json::json!(true));
    }
}
