//! What is left after an erasure where mediamill cannot reach it, or not at once.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Certificate;
use crate::config::Config;
use crate::events::Residue;
use crate::store::{MAX_PAGE, PutOptions, Store, StoreError};

const DAY_S: i64 = 86_400;
/// Longest number of an erasure.
const MAX_NUMBER: usize = 128;
/// Attempts to change an object that others change at the same time.
const MAX_TRIES: u32 = 8;
const ACTION: &str = "add to a certificate";
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");

/// Residues of an erasure that ends now. Their names are stable: docs/privacy.md lists them.
#[must_use]
pub fn residues(config: &Config, now: Timestamp) -> Vec<Residue> {
    let broker = &config.broker;
    let waits_s: u64 = broker.retry_delays_s.iter().fold(broker.ack_timeout_s, |sum, delay| sum.saturating_add(*delay));
    let waits = SignedDuration::from_secs(i64::try_from(waits_s).unwrap_or(i64::MAX));
    let until = now.checked_add(waits).ok().map(|until| until.to_string());
    let queued = Residue { until, ..of("queued-requests") };
    std::iter::once(queued).chain(["broker-files", "consumers", "store-copies", "backups"].map(of)).collect()
}

/// A residue without a date.
fn of(what: &str) -> Residue {
    Residue { what: what.to_owned(), until: None, at: None }
}

/// Nobody was told of the erasure.
#[must_use]
pub fn untold() -> Residue {
    of("untold-consumers")
}

/// Dead letters were not looked through.
#[must_use]
pub fn dead_letters() -> Residue {
    of("dead-letters")
}

/// What a destination of `deliver` still has of erased media.
#[must_use]
pub fn at_destination(name: &str, days: Option<u32>, now: Timestamp) -> Residue {
    let what = if days.is_some() { "destination-bin" } else { "destination-file" };
    // To the end of a day, so that a destination has one date for all media of an erasure.
    let end = |days: u32| {
        let second = now.as_second().saturating_add(i64::from(days).saturating_add(1).saturating_mul(DAY_S));
        Timestamp::from_second(second.saturating_sub(second.rem_euclid(DAY_S))).ok()
    };
    Residue { until: days.and_then(end).map(|until| until.to_string()), at: Some(name.to_owned()), ..of(what) }
}

/// Adds to the certificate of an erasure, which may not be written yet, what a destination still has. Telling it again changes
/// nothing. A number that names no erasure is left alone.
///
/// It is first kept beside the certificate, and then joined with it where it is there. Whoever writes the certificate joins, too,
/// after that: so one of the two sees what the other wrote.
///
/// # Errors
/// [`StoreError`]
pub async fn tell(store: &Store, tenant: &str, number: &str, residue: &Residue) -> Result<(), StoreError> {
    let is_number = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if number.is_empty() || number.len() > MAX_NUMBER || !number.bytes().all(is_number) {
        return Ok(());
    }
    let name = format!("{}.{}.json", residue.at.as_deref().unwrap_or_default(), residue.what);
    let key = store.catalog_key(&["certificates", tenant, number, &name]);
    change(store, &key, |known: Option<Residue>| match known {
        Some(known) if known.until >= residue.until => None,
        Some(_) | None => Some(residue.clone()),
    })
    .await?;
    join(store, tenant, number).await
}

/// Joins what destinations have told with the certificate, where there is one.
///
/// # Errors
/// [`StoreError`]
pub(super) async fn join(store: &Store, tenant: &str, number: &str) -> Result<(), StoreError> {
    let folder = store.catalog_key(&["certificates", tenant, number]);
    let (mut told, mut after) = (Vec::<Residue>::new(), None);
    loop {
        let page = store.list(&format!("{folder}/"), after.as_ref(), MAX_PAGE).await?;
        for object in page.objects {
            if let Some(bytes) = store.get(&object.key).await? {
                told.push(serde_json::from_slice(&bytes).map_err(|_| damaged())?);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let add = |certificate: Option<Certificate>| {
        let mut certificate = certificate?;
        let before = certificate.residues.clone();
        for residue in &told {
            certificate.residues.retain(|known| (&known.what, &known.at) != (&residue.what, &residue.at));
            certificate.residues.push(residue.clone());
        }
        (certificate.residues != before).then_some(certificate)
    };
    change(store, &format!("{folder}.json"), add).await
}

/// Changes an object against the version that was read; nothing where `edit` gives nothing.
async fn change<T: Serialize + DeserializeOwned>(
    store: &Store,
    key: &str,
    edit: impl Fn(Option<T>) -> Option<T>,
) -> Result<(), StoreError> {
    for _ in 0..MAX_TRIES {
        let read = store.get_versioned(key).await?;
        let known = match &read {
            None => None,
            Some((bytes, _)) => Some(serde_json::from_slice(bytes).map_err(|_| damaged())?),
        };
        let Some(new) = edit(known) else { return Ok(()) };
        let bytes = Bytes::from(serde_json::to_vec(&new).map_err(|_| damaged())?);
        let is_written = match &read {
            None => store.put_new(key, bytes, OPTIONS).await?,
            Some((_, version)) => store.replace(key, bytes, OPTIONS, version).await?,
        };
        if is_written {
            return Ok(());
        }
    }
    Err(StoreError::Invalid { action: ACTION, detail: "others change it all the time".to_owned() })
}

fn damaged() -> StoreError {
    StoreError::Invalid { action: ACTION, detail: "it is not what any version writes".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_destination_has_ends_with_a_day() {
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().expect("a time");
        let bin = at_destination("crm", Some(90), now);
        assert_eq!((bin.what.as_str(), bin.until.as_deref()), ("destination-bin", Some("2027-02-26T00:00:00Z")));
        let file = at_destination("crm", None, now);
        assert_eq!((file.what.as_str(), file.until, file.at.as_deref()), ("destination-file", None, Some("crm")));
    }

    #[test]
    fn what_waits_in_queues_has_a_date() {
        let config = crate::config::load(None, [], &[]).expect("the defaults");
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().expect("a time");
        // 10, 60 and 600 s of retries, and half an hour for who works on it.
        assert_eq!(residues(&config, now)[0].until.as_deref(), Some("2026-11-27T08:41:10Z"));
    }
}
