//! Finds the media of a person or a conversation by reading every manifest of the tenant: slow, and right without any database.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{ContactHash, ContactKey, Selector, Sender};
use crate::events::{Manifest, ManifestError, Message, StoredOutcome};
use crate::store::keys::MANIFEST;
use crate::store::{MAX_PAGE, Store, StoreError};

/// Manifests that are read at the same time.
const AT_ONCE: usize = 16;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Media, and who sent them.
    pub media: BTreeMap<String, Sender>,
    /// Hashes that belong to the same person as those that were looked for.
    pub aliases: Vec<ContactHash>,
    /// Manifests that could not be read, so that it is not known whose they are.
    pub unreadable: u64,
}

/// Where media are looked for.
#[async_trait]
pub trait Find: Send + Sync {
    /// Media of the tenant that the selector means and that were sent up to `until`, and who sent them.
    ///
    /// # Errors
    /// [`StoreError`]: not everything could be looked at.
    async fn find(&self, tenant: &str, selector: &Selector, until: Timestamp) -> Result<Found, StoreError>;
}

/// All manifests of a store, one by one.
#[derive(Debug, Clone)]
pub struct Scan {
    store: Store,
    key: Option<ContactKey>,
}

/// What one manifest says.
struct Read {
    media_id: String,
    messages: Vec<Message>,
    /// When it was asked for, as well as the manifest tells.
    asked_at: Option<Timestamp>,
}

impl Scan {
    /// Of this store, with the key under which people are known there.
    #[must_use]
    pub const fn new(store: Store, key: Option<ContactKey>) -> Self {
        Self { store, key }
    }

    /// Keys of all manifests of a tenant.
    async fn manifests(&self, tenant: &str) -> Result<Vec<String>, StoreError> {
        let folder = self.store.folder(tenant, "any");
        let of_tenant =
            folder.as_str().rsplit_once('/').map(|(tenant, _media)| format!("{tenant}/")).unwrap_or_default();
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&of_tenant, after.as_ref(), MAX_PAGE).await?;
            let named = page.objects.into_iter().map(|object| object.key);
            keys.extend(named.filter(|key| {
                let rest = key.strip_prefix(&of_tenant).and_then(|rest| rest.split_once('/'));
                rest.is_some_and(|(_media, object)| object == MANIFEST)
            }));
            after = page.next;
            if after.is_none() {
                return Ok(keys);
            }
        }
    }

    /// A manifest; an error of the inner kind where nobody can read it, nothing where it is a tombstone or gone.
    async fn read(&self, key: &str) -> Result<Result<Option<Read>, ManifestError>, StoreError> {
        let Some(bytes) = self.store.get(key).await? else { return Ok(Ok(None)) };
        Ok(match Manifest::read(&bytes) {
            Ok(manifest) => Ok(Some(Read::of(&manifest))),
            Err(ManifestError::Erased) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Everything that the tenant has, and how many manifests cannot be read.
    async fn read_all(&self, tenant: &str) -> Result<(Vec<Read>, u64), StoreError> {
        let keys = self.manifests(tenant).await?;
        let reads: Vec<_> = keys.iter().map(|key| self.read(key)).collect();
        let reads: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        let (mut readable, mut unreadable) = (Vec::new(), 0);
        for read in reads {
            match read {
                Ok(read) => readable.extend(read),
                Err(_) => unreadable += 1,
            }
        }
        Ok((readable, unreadable))
    }

    /// Who sent a media, by all messages that its manifest tells of, and when, where that is known.
    #[must_use]
    pub fn sender_of(&self, tenant: &str, manifest: &Manifest) -> (Sender, Option<Timestamp>) {
        let read = Read::of(manifest);
        (self.sender(tenant, &read), read.sent_at())
    }

    fn sender(&self, tenant: &str, read: &Read) -> Sender {
        let mut all = Sender::default();
        let Some(key) = &self.key else { return all };
        for sender in read.messages.iter().map(|message| key.sender(tenant, message)) {
            all.person.extend(sender.person);
            all.contact.extend(sender.contact);
            all.conversation.extend(sender.conversation);
        }
        all
    }
}

#[async_trait]
impl Find for Scan {
    async fn find(&self, tenant: &str, selector: &Selector, until: Timestamp) -> Result<Found, StoreError> {
        let mut found = Found::default();
        if let Selector::Media { media_id } = selector {
            // Also where there is no manifest: its folder may have objects.
            let read = self.read(&self.store.folder(tenant, media_id).manifest()).await?.unwrap_or_default();
            let sender = read.map(|read| self.sender(tenant, &read)).unwrap_or_default();
            found.media.insert(media_id.clone(), sender);
            return Ok(found);
        }
        if matches!(selector, Selector::Due) {
            return Ok(found);
        }
        let (reads, unreadable) = self.read_all(tenant).await?;
        found.unreadable = unreadable;
        let with_sender = |read: Read| {
            let sender = self.sender(tenant, &read);
            (read, sender)
        };
        let senders: Vec<(Read, Sender)> = reads.into_iter().map(with_sender).collect();
        let mut known = selector.known_as().to_vec();
        if matches!(selector, Selector::Contact { .. }) {
            while extend(&mut known, &senders) {}
            found.aliases = known.clone();
        }
        for (read, sender) in senders {
            let is_meant = match selector {
                Selector::Contact { .. } => sender.contacts().any(|hash| known.contains(hash)),
                Selector::Conversation { .. } => sender.conversation.iter().any(|hash| known.contains(hash)),
                Selector::Media { .. } | Selector::Due => false,
            };
            if is_meant && read.sent_at().is_none_or(|sent_at| sent_at <= until) {
                found.media.insert(read.media_id, sender);
            }
        }
        Ok(found)
    }
}

/// Adds the hashes that stand in one message with known ones of the same person. Whether there were any.
fn extend(known: &mut Vec<ContactHash>, senders: &[(Read, Sender)]) -> bool {
    let before = known.len();
    for (_, sender) in senders {
        if sender.person.iter().any(|hash| known.contains(hash)) {
            for hash in &sender.person {
                if !known.contains(hash) {
                    known.push(hash.clone());
                }
            }
        }
    }
    known.len() > before
}

impl Read {
    fn of(manifest: &Manifest) -> Self {
        let (media_id, time, took_ms) = match manifest.current() {
            StoredOutcome::Normalized(record) => {
                let timings = &record.data.timings_ms;
                (&record.data.media_id, record.time(), timings.queue.saturating_add(timings.total))
            }
            StoredOutcome::Rejected(record) => (&record.data.media_id, record.time(), 0),
        };
        let took = SignedDuration::from_millis(i64::try_from(took_ms).unwrap_or(i64::MAX));
        let asked_at = time.parse::<Timestamp>().ok().and_then(|time| time.checked_sub(took).ok());
        Self { media_id: media_id.clone(), messages: manifest.messages(), asked_at }
    }

    /// The earliest that any of its messages was sent. Nothing where nobody says: then it is as old as can be.
    fn sent_at(&self) -> Option<Timestamp> {
        let said =
            self.messages.iter().filter_map(|message| message.sent_at.as_deref().or(message.received_at.as_deref()));
        said.filter_map(|text| text.parse().ok()).min().or(self.asked_at)
    }
}
