//! How long an object that is deleted lives on in the store.

use super::{Finding, State, good};
use crate::store::{Deletion, Known, Lock, Store, Versions};

const DAY_S: u64 = 86_400;
const ADVICE: &str = "see docs/stores.md: turn off what keeps deleted objects, or name it in what you tell the people whose media these are";

/// Asks the store.
pub(super) async fn deletion(store: &Store) -> Finding {
    match store.deletion().await {
        Ok(found) => finding(&found),
        Err(error) => lacking(format!("unknown: {error}")),
    }
}

fn lacking(text: String) -> Finding {
    Finding { what: "deletion", state: State::Lacking, text, advice: ADVICE.to_owned() }
}

fn finding(found: &Deletion) -> Finding {
    let parts =
        [soft_delete(&found.soft_delete_s), lock(&found.lock), versions(&found.versions), copies(&found.copies)];
    let told: Vec<String> = parts.into_iter().flatten().collect();
    if told.is_empty() {
        return good("deletion", "what is deleted is gone at once".to_owned());
    }
    lacking(told.join("; "))
}

/// What cannot be found out, and why.
fn unknown<T>(about: &str, known: &Known<T>) -> Option<String> {
    match known {
        Known::Is(_) => None,
        Known::NotPermitted(permission) => Some(format!("{about}: unknown: permission {permission} is missing")),
        Known::NotTold(why) => Some(format!("{about}: unknown: {why}")),
    }
}

fn soft_delete(known: &Known<u64>) -> Option<String> {
    match known {
        Known::Is(0) => None,
        Known::Is(seconds) => Some(format!(
            "soft delete: what is deleted, by an erasure too, can be brought back for {}, and nobody can end that sooner",
            time(*seconds)
        )),
        known => unknown("soft delete", known),
    }
}

fn lock(known: &Known<Lock>) -> Option<String> {
    match known {
        Known::Is(Lock::None) => None,
        Known::Is(Lock::Seconds(seconds)) => Some(format!(
            "object lock: nothing can be erased until it was stored for {}, and an erasure before that does not end",
            time(*seconds)
        )),
        Known::Is(Lock::UntilLifted) => Some(
            "object lock: every object has a hold, and an erasure does not end before somebody lifts it".to_owned(),
        ),
        known => unknown("object lock", known),
    }
}

fn versions(known: &Known<Versions>) -> Option<String> {
    match known {
        Known::Is(Versions::Gone) => None,
        Known::Is(Versions::Kept { days }) => {
            let others = match days {
                Known::Is(Some(days)) => format!("lives on for {} (lifecycle)", time(u64::from(*days) * DAY_S)),
                Known::Is(None) => "lives on without end: no lifecycle rule removes it".to_owned(),
                Known::NotPermitted(permission) => {
                    format!("lives on for a time that is unknown: permission {permission} is missing")
                }
                Known::NotTold(why) => format!("lives on for a time that is unknown: {why}"),
            };
            Some(format!("versions: an erasure removes all of them; what is deleted or replaced otherwise {others}"))
        }
        known => unknown("versions", known),
    }
}

fn copies(known: &Known<bool>) -> Option<String> {
    match known {
        Known::Is(false) => None,
        Known::Is(true) => Some("replication: copies in other buckets are not erased".to_owned()),
        known => unknown("replication", known),
    }
}

fn time(seconds: u64) -> String {
    match (seconds / DAY_S, seconds % DAY_S) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_told_with_its_time() {
        assert_eq!(finding(&Deletion::at_once()).text, "what is deleted is gone at once");
        let found = Deletion {
            versions: Known::Is(Versions::Kept { days: Known::Is(Some(31)) }),
            soft_delete_s: Known::Is(604_800),
            lock: Known::Is(Lock::Seconds(90)),
            copies: Known::NotPermitted("s3:GetReplicationConfiguration"),
        };
        let finding = finding(&found);
        assert!(finding.state == State::Lacking && !finding.advice.is_empty());
        for part in [
            "can be brought back for 7 days",
            "until it was stored for 90 s",
            "otherwise lives on for 31 days (lifecycle)",
            "replication: unknown: permission s3:GetReplicationConfiguration is missing",
        ] {
            assert!(finding.text.contains(part), "{part}: {}", finding.text);
        }
    }
}
