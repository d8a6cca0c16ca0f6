//! What the worker asks before it fetches, and once more before an outcome: may this be stored?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{ContactHash, ContactKey, ErasureMark, Permit, Place, Policy, Record, Records, Refusal, Terms};
use crate::config::Config;
use crate::events::Received;
use crate::store::{Store, StoreError};

/// Most records that are remembered; then all are forgotten.
const MAX_CACHED: usize = 10_000;

/// The guard of one store. Cheap to clone; clones share what they have read.
#[derive(Debug, Clone)]
pub struct Guard {
    records: Records,
    key: Option<ContactKey>,
    policy: Arc<Policy>,
    cache: Arc<Cache>,
}

#[derive(Debug)]
struct Cache {
    life: Duration,
    seen: Mutex<HashMap<String, (Instant, Option<Record>)>>,
}

impl Guard {
    /// As configured, for this store.
    #[must_use]
    pub fn new(config: &Config, store: &Store) -> Self {
        let life = Duration::from_secs(config.privacy.cache_s);
        Self {
            records: Records::new(store.clone()),
            key: ContactKey::new(&config.privacy),
            policy: Arc::new(Policy::new(config)),
            cache: Arc::new(Cache { life, seen: Mutex::default() }),
        }
    }

    /// The erasure that covers a media or its sender, by what the store says now. `asked_at` is the time of the request. What
    /// has neither time is as old as can be, so that every erasure covers it. A hold on it keeps an erasure of its sender
    /// away.
    ///
    /// # Errors
    /// [`StoreError`]: it is not known.
    pub async fn erased(
        &self,
        received: &Received,
        asked_at: Option<Timestamp>,
    ) -> Result<Option<ErasureMark>, StoreError> {
        let Received { tenant, media_id, .. } = received;
        // A media's own tombstone covers it whenever it was sent.
        let media = self.records.read(tenant, Place::Media(media_id));
        let (media, sender) = futures_util::try_join!(media, self.sender(received, Duration::ZERO))?;
        let mut is_held = sender.held_for().next().is_some();
        if let Some(record) = media {
            is_held |= record.held_for().next().is_some();
            if record.erased.is_some() {
                return Ok(record.erased);
            }
        }
        let sent_at = sent_at(received, asked_at).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(sender.covers(sent_at).filter(|_| !is_held).cloned())
    }

    /// What may be stored, by what is known of the sender, or was at most `privacy.cache_s` ago. `profile_days` is how long the
    /// profile has media kept.
    ///
    /// # Errors
    /// [`StoreError`]: it is not known, and nothing may be fetched yet.
    pub async fn permit(
        &self,
        received: &Received,
        asked_at: Option<Timestamp>,
        profile_days: u32,
    ) -> Result<Result<Permit, Refusal>, StoreError> {
        let known = self.sender(received, self.cache.life).await?;
        let sent_at = sent_at(received, asked_at);
        let kept_from = sent_at.unwrap_or_else(Timestamp::now);
        let sent_at = sent_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let terms = Terms { stated: received.privacy.as_ref(), known: &known, sent_at, kept_from, profile_days };
        Ok(self.policy.of(&received.tenant).permit(&terms))
    }

    /// All that is known of whoever sent it, joined. The records of a person stand under every alias, so that no alias has to
    /// be followed here.
    async fn sender(&self, received: &Received, life: Duration) -> Result<Record, StoreError> {
        let (Some(key), Some(message)) = (&self.key, &received.message) else { return Ok(Record::default()) };
        let tenant = &received.tenant;
        let sender = key.sender(tenant, message);
        let contacts = sender.contacts().map(|hash: &ContactHash| Place::Contact(hash));
        let places = contacts.chain(sender.conversation.iter().map(Place::Conversation));
        let found = try_join_all(places.map(|place| self.read(tenant, place, life))).await?;
        let mut known = Record::default();
        found.iter().flatten().for_each(|record| known.join(record));
        Ok(known)
    }

    async fn read(&self, tenant: &str, place: Place<'_>, life: Duration) -> Result<Option<Record>, StoreError> {
        let key = self.records.key(tenant, place);
        if let Some(record) = self.cache.get(&key, life) {
            return Ok(record);
        }
        let record = self.records.read(tenant, place).await?;
        self.cache.put(key, record.clone());
        Ok(record)
    }
}

impl Cache {
    fn get(&self, key: &str, life: Duration) -> Option<Option<Record>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|(at, _)| at.elapsed() < life).map(|(_, record)| record.clone())
    }

    fn put(&self, key: String, record: Option<Record>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_CACHED {
            seen.clear();
        }
        seen.insert(key, (Instant::now(), record));
    }
}

/// When the message was sent; where the channel does not say, when it was asked for.
fn sent_at(received: &Received, asked_at: Option<Timestamp>) -> Option<Timestamp> {
    let sent_at = received.message.as_ref().and_then(|message| message.sent_at.as_deref());
    sent_at.and_then(|text| text.parse().ok()).or(asked_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(message: serde_json::Value) -> Received {
        serde_json::from_value(serde_json::json!({
            "tenant": "acme", "media_id": "m", "origin": { "kind": "http", "url": "https://a.example/x" },
            "message": message,
        }))
        .expect("valid")
    }

    fn guard(dir: &std::path::Path) -> (Guard, ContactKey) {
        let key = ("privacy.key".to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
        let config = crate::config::load(None, [], &[key]).expect("valid");
        let store = Store::local(dir);
        (Guard::new(&config, &store), ContactKey::new(&config.privacy).expect("a key"))
    }

    #[tokio::test]
    async fn an_erasure_is_seen_at_once_and_under_every_alias() {
        let dir = tempfile::tempdir().expect("a directory");
        let (guard, key) = guard(dir.path());
        let old = received(serde_json::json!({ "user_id": "u1", "sent_at": "2026-01-01T00:00:00Z" }));
        assert!(guard.permit(&old, None, 0).await.expect("an answer").is_ok());
        assert_eq!(guard.erased(&old, None).await.expect("an answer"), None);
        let ids = crate::events::ContactIds {
            phone: Some("+1 555 0100".to_owned()),
            user_id: Some("u1".to_owned()),
            contact_id: None,
        };
        let at = "2026-02-01T00:00:00Z".parse().expect("a time");
        let mark = ErasureMark { at, certificate: "c".to_owned() };
        let change = Record { erased: Some(mark.clone()), ..Record::default() };
        guard.records.join_person("acme", &key.person("acme", &ids), &change).await.expect("written");
        assert_eq!(guard.erased(&old, None).await.expect("an answer"), Some(mark.clone()));
        let by_phone = received(serde_json::json!({ "phone": "+15550100", "sent_at": "2026-01-01T00:00:00Z" }));
        assert_eq!(guard.erased(&by_phone, None).await.expect("an answer"), Some(mark));
        let new = received(serde_json::json!({ "phone": "+15550100", "sent_at": "2026-03-01T00:00:00Z" }));
        assert_eq!(guard.erased(&new, None).await.expect("an answer"), None);
        assert!(guard.permit(&new, None, 0).await.expect("an answer").is_ok());
        assert!(guard.erased(&received(serde_json::json!({ "user_id": "u1" })), None).await.expect("one").is_some());
    }

    #[tokio::test]
    async fn records_of_two_writers_become_one_person() {
        let dir = tempfile::tempdir().expect("a directory");
        let (guard, key) = guard(dir.path());
        let known = |id: &str| key.known_as("acme", super::super::IdKind::User, id);
        let records = guard.records.clone();
        let pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")];
        let writers = pairs.map(|(one, other)| {
            let (records, hashes) = (records.clone(), [known(one), known(other)].concat());
            async move { records.join_person("acme", &hashes, &Record::default()).await.map(drop) }
        });
        try_join_all(writers).await.expect("written");
        let all = records.person("acme", &known("a")).await.expect("read");
        assert_eq!(all.aliases.len(), 5);
    }

    #[tokio::test]
    async fn more_identifiers_than_a_person_can_have_are_refused_and_a_conversation_of_theirs_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let (guard, key) = guard(dir.path());
        let many: Vec<_> =
            (0..=1000).flat_map(|n| key.known_as("acme", super::super::IdKind::User, &format!("u{n}"))).collect();
        let error = guard.records.join_person("acme", &many, &Record::default()).await.expect_err("too many");
        assert!(error.to_string().contains("erase by conversation or by media"), "{error}");
        assert_eq!(guard.records.person("acme", &many[..1]).await.expect("read").aliases.len(), 1, "none is connected");
        let selector = super::super::Selector::Conversation { known_as: vec![many[0].clone()] };
        guard.records.join_selected("acme", &selector, &Record::default()).await.expect("written");
    }
}
