//! Deletes for certain: by media, by person, by conversation.
//!
//! An erasure is an object of its own from its first step to its certificate, so that whoever finds one that was begun finishes
//! it, after a crash at any step:
//!
//! 1. [`Eraser::begin`] writes the erasure, and then the mark into the records of those who are meant. From here on no worker
//!    stores anything that the mark covers, and what one is just storing it removes again itself.
//! 2. [`Eraser::plan`] finds the media, and writes down what they have. What is held for a case is left out.
//! 3. [`Eraser::carry_out`] puts a tombstone in the place of each manifest and removes everything else.
//! 4. The caller tells others ([`Tombstone::event`](crate::events::Tombstone::event)).
//! 5. [`Eraser::certify`] writes the certificate and removes the erasure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::find::Find;
use super::{
    Certificate, ContactHash, ContactKey, Erasure, ErasureMark, Place, PlannedMedia, Record, Records, RefusedMedia,
    Request, Selector, SelectorError, Sender, Wiped, residue, wipe,
};
use crate::config::Config;
use crate::events::{Erase, Erased, Residue, Tombstone};
use crate::store::{MAX_PAGE, PutOptions, Store, StoreError};

/// Media that are erased at the same time.
const AT_ONCE: usize = 4;
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");

/// What was carried out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CarriedOut {
    /// The tombstones of all media that are gone.
    pub tombstones: Vec<Tombstone>,
    /// What was removed now.
    pub wiped: Wiped,
}

/// Erases in one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Eraser {
    store: Store,
    records: Records,
    key: Option<ContactKey>,
}

impl Eraser {
    /// As configured, in this store.
    #[must_use]
    pub fn new(config: &Config, store: &Store) -> Self {
        let key = ContactKey::new(&config.privacy);
        Self { store: store.clone(), records: Records::new(store.clone()), key }
    }

    /// The records that it writes its marks into.
    #[must_use]
    pub const fn records(&self) -> &Records {
        &self.records
    }

    /// The key under which people are known, where there is one.
    #[must_use]
    pub const fn key(&self) -> Option<&ContactKey> {
        self.key.as_ref()
    }

    /// What an event means.
    ///
    /// # Errors
    /// [`SelectorError`]
    pub fn selector(&self, erase: &Erase) -> Result<Selector, SelectorError> {
        let Erase { tenant, media_id, contact, conversation_id, .. } = erase;
        let key = || self.key.as_ref().ok_or(SelectorError::NoKey);
        let (is_contact, known_as) = match (media_id, contact, conversation_id) {
            (Some(media_id), None, None) if !media_id.is_empty() => {
                return Ok(Selector::Media { media_id: media_id.clone() });
            }
            (None, Some(contact), None) => (true, key()?.person(tenant, contact)),
            (None, None, Some(id)) => (false, key()?.known_as(tenant, super::IdKind::Conversation, id)),
            _ => return Err(SelectorError::NotOne),
        };
        match (known_as.is_empty(), is_contact) {
            (true, _) => Err(SelectorError::Nobody),
            (false, true) => Ok(Selector::Contact { known_as }),
            (false, false) => Ok(Selector::Conversation { known_as }),
        }
    }

    /// Step 1. Where an erasure of this number was begun before, that one is gone on with.
    ///
    /// # Errors
    /// [`StoreError`]; then it may have begun.
    pub async fn begin(&self, request: Request) -> Result<Erasure, StoreError> {
        let Request { number, tenant, selector, because, reason, erased_at } = request;
        let erasure = Erasure {
            number,
            tenant,
            selector,
            because,
            reason,
            requested_at: Timestamp::now(),
            erased_at,
            plan: None,
            unreadable_manifests: 0,
        };
        let key = self.erasure_key(&erasure.number);
        let erasure = if self.store.put_new(&key, json(&erasure)?, OPTIONS).await? {
            erasure
        } else {
            self.read_erasure(&key).await?.unwrap_or(erasure)
        };
        self.mark(&erasure, &[]).await?;
        Ok(erasure)
    }

    /// Erasures that were begun and have no certificate yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begun(&self) -> Result<Vec<Erasure>, StoreError> {
        let prefix = self.store.catalog_key(&["erasures"]) + "/";
        let (mut begun, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&prefix, after.as_ref(), MAX_PAGE).await?;
            for object in page.objects {
                begun.extend(self.read_erasure(&object.key).await?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(begun);
            }
        }
    }

    /// Step 2. Nothing where it was done before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn plan(&self, erasure: &mut Erasure, find: &dyn Find) -> Result<(), StoreError> {
        if erasure.plan.is_some() {
            return Ok(());
        }
        let found = find.find(&erasure.tenant, &erasure.selector, erasure.erased_at).await?;
        self.mark(erasure, &found.aliases).await?;
        self.plan_these(erasure, &found.media, found.unreadable).await
    }

    /// As [`Eraser::plan`], for media that somebody has found already. `unreadable` is how many manifests could not be read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn plan_these(
        &self,
        erasure: &mut Erasure,
        media: &BTreeMap<String, Sender>,
        unreadable: u64,
    ) -> Result<(), StoreError> {
        let planned = media.iter().map(|(media_id, sender)| self.planned(&erasure.tenant, media_id, sender));
        let planned: Vec<_> = planned.collect();
        let mut plan: Vec<PlannedMedia> = stream::iter(planned).buffer_unordered(AT_ONCE).try_collect().await?;
        plan.sort_by(|a, b| a.media_id.cmp(&b.media_id));
        erasure.plan = Some(plan);
        erasure.unreadable_manifests = unreadable;
        let key = self.erasure_key(&erasure.number);
        self.store.put_bytes(&key, json(erasure)?, OPTIONS).await.map(drop)
    }

    /// Step 3.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left, and the call is to be repeated.
    pub async fn carry_out(&self, erasure: &Erasure, residues: &[Residue]) -> Result<CarriedOut, StoreError> {
        let plan = erasure.plan.as_deref().unwrap_or_default();
        let free = plan.iter().filter(|media| media.held_for.is_empty());
        let erased: Vec<_> = free.map(|media| self.erase(erasure, &media.media_id, residues)).collect();
        let erased: Vec<(Tombstone, Wiped)> = stream::iter(erased).buffered(AT_ONCE).try_collect().await?;
        let mut done = CarriedOut::default();
        for (tombstone, wiped) in erased {
            done.tombstones.push(tombstone);
            done.wiped.objects += wiped.objects;
            done.wiped.versions += wiped.versions;
        }
        Ok(done)
    }

    /// Step 5. `dead_letters` is how many waiting messages were thrown away.
    ///
    /// # Errors
    /// [`StoreError`]; then the erasure is still there to be finished.
    pub async fn certify(
        &self,
        erasure: Erasure,
        wiped: Wiped,
        dead_letters: u64,
        residues: Vec<Residue>,
    ) -> Result<Certificate, StoreError> {
        let erasure_key = self.erasure_key(&erasure.number);
        let (erased, held): (Vec<_>, Vec<_>) =
            erasure.plan.unwrap_or_default().into_iter().partition(|media| media.held_for.is_empty());
        let refused =
            held.into_iter().map(|PlannedMedia { media_id, held_for, .. }| RefusedMedia { media_id, held_for });
        let certificate = Certificate {
            selected_by: erasure.selector.as_str().to_owned(),
            number: erasure.number,
            tenant: erasure.tenant,
            because: erasure.because,
            reason: erasure.reason,
            requested_at: erasure.requested_at,
            erased_at: erasure.erased_at,
            finished_at: Timestamp::now(),
            media: u64::try_from(erased.len()).unwrap_or(u64::MAX),
            objects: erased.iter().map(|media| media.objects).sum(),
            versions: wiped.versions,
            erased,
            refused: refused.collect(),
            unreadable_manifests: erasure.unreadable_manifests,
            dead_letters,
            residues,
        };
        let key = self.certificate_key(&certificate.tenant, &certificate.number);
        // The first one stays: a second run of the same erasure found less to remove.
        self.store.put_new(&key, json(&certificate)?, OPTIONS).await?;
        // What destinations have told before there was a certificate.
        residue::join(&self.store, &certificate.tenant, &certificate.number).await?;
        self.store.delete_all_versions(&erasure_key).await?;
        Ok(certificate)
    }

    /// An erasure of this tenant that was begun and has no certificate yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unfinished(&self, tenant: &str, number: &str) -> Result<Option<Erasure>, StoreError> {
        let begun = self.read_erasure(&self.erasure_key(number)).await?;
        Ok(begun.filter(|erasure| erasure.tenant == tenant))
    }

    /// The certificate of an erasure, where it has one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn certificate(&self, tenant: &str, number: &str) -> Result<Option<Certificate>, StoreError> {
        let Some(bytes) = self.store.get(&self.certificate_key(tenant, number)).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged("read a certificate"))
    }

    /// Writes the mark where workers look for it.
    async fn mark(&self, erasure: &Erasure, aliases: &[ContactHash]) -> Result<(), StoreError> {
        let Erasure { number, tenant, selector, erased_at, .. } = erasure;
        let mark = ErasureMark { at: *erased_at, certificate: number.clone() };
        let change = Record { erased: Some(mark), ..Record::default() };
        match selector {
            // Its own mark is written once it is known that nothing holds it.
            Selector::Media { .. } | Selector::Due => {}
            Selector::Contact { known_as } => {
                let all = [known_as.as_slice(), aliases].concat();
                self.records.join_person(tenant, &all, &change).await?;
            }
            Selector::Conversation { known_as } => {
                for hash in known_as {
                    self.records.join(tenant, Place::Conversation(hash), &change).await?;
                }
            }
        }
        Ok(())
    }

    async fn planned(&self, tenant: &str, media_id: &str, sender: &Sender) -> Result<PlannedMedia, StoreError> {
        let folder = self.store.folder(tenant, media_id).prefix();
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&folder, after.as_ref(), MAX_PAGE).await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        keys.sort_unstable();
        let mut digest = Sha256::new();
        for key in &keys {
            digest.update(key.as_bytes());
            digest.update(b"\n");
        }
        Ok(PlannedMedia {
            media_id: media_id.to_owned(),
            objects: u64::try_from(keys.len()).unwrap_or(u64::MAX),
            keys_sha256: hex::encode(digest.finalize()),
            held_for: self.held_for(tenant, media_id, sender).await?.into_iter().collect(),
        })
    }

    /// Cases that a media is held for: for its own sake, its sender's, or its conversation's.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn held_for(
        &self,
        tenant: &str,
        media_id: &str,
        sender: &Sender,
    ) -> Result<BTreeSet<String>, StoreError> {
        let places = sender.contacts().map(Place::Contact);
        let places = places.chain(sender.conversation.iter().map(Place::Conversation));
        let mut cases = BTreeSet::new();
        for place in places.chain([Place::Media(media_id)]) {
            if let Some(record) = self.records.read(tenant, place).await? {
                cases.extend(record.held_for().map(str::to_owned));
            }
        }
        Ok(cases)
    }

    async fn erase(
        &self,
        erasure: &Erasure,
        media_id: &str,
        residues: &[Residue],
    ) -> Result<(Tombstone, Wiped), StoreError> {
        let Erasure { number, tenant, because, erased_at, .. } = erasure;
        let mark = ErasureMark { at: *erased_at, certificate: number.clone() };
        let change = Record { erased: Some(mark), ..Record::default() };
        self.records.join(tenant, Place::Media(media_id), &change).await?;
        let erased = Erased {
            tenant: tenant.clone(),
            media_id: media_id.to_owned(),
            certificate: number.clone(),
            because: *because,
            erased_at: erased_at.to_string(),
            residues: residues.to_vec(),
        };
        let (tombstone, mut wiped) = wipe(&self.store, erased).await?;
        let transcript = self.store.catalog_key(&["transcripts", tenant, &format!("{media_id}.json")]);
        wiped.versions += self.store.delete_all_versions(&transcript).await?;
        // Copies that `mediamill publish` put there to be fetched.
        let inbox = self.store.inbox_folder(media_id);
        wiped.versions += self.store.purge(&inbox, None).await?.versions();
        Ok((tombstone, wiped))
    }

    async fn read_erasure(&self, key: &str) -> Result<Option<Erasure>, StoreError> {
        let Some(bytes) = self.store.get(key).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged("read an erasure that was begun"))
    }

    fn erasure_key(&self, number: &str) -> String {
        self.store.catalog_key(&["erasures", number]) + ".json"
    }

    fn certificate_key(&self, tenant: &str, number: &str) -> String {
        self.store.catalog_key(&["certificates", tenant, number]) + ".json"
    }
}

fn json<T: Serialize>(value: &T) -> Result<Bytes, StoreError> {
    serde_json::to_vec_pretty(value).map(Bytes::from).map_err(|_| damaged("write an object of .catalog"))
}

fn damaged(action: &'static str) -> StoreError {
    StoreError::Invalid { action, detail: "it is not what any version writes".to_owned() }
}
