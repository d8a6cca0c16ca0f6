//! Reading and joining records in the store.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{ContactHash, Record, Selector};
use crate::store::{PutOptions, Store, StoreError, Version};

/// How often a record may be replaced by others while one change is about to be written.
const MAX_RACES: usize = 32;
/// Most identifiers of one person; a chain of aliases beyond it is a mistake of the data.
const MAX_ALIASES: usize = 1000;
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");

/// Whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A person's, under one of the identifiers.
    Contact(&'a ContactHash),
    /// A conversation's.
    Conversation(&'a ContactHash),
    /// A media's.
    Media(&'a str),
}

/// The records of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
}

impl Records {
    /// Those of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Key of a record.
    #[must_use]
    pub fn key(&self, tenant: &str, place: Place<'_>) -> String {
        let (folder, name) = match place {
            Place::Contact(hash) => ("contacts", hash.as_str()),
            Place::Conversation(hash) => ("conversations", hash.as_str()),
            Place::Media(media_id) => ("media", media_id),
        };
        self.store.catalog_key(&[folder, tenant, name]) + ".json"
    }

    /// A record; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`]; one that is damaged is [`StoreError::Invalid`], because what it forbids is not known.
    pub async fn read(&self, tenant: &str, place: Place<'_>) -> Result<Option<Record>, StoreError> {
        Ok(self.versioned(&self.key(tenant, place)).await?.map(|(record, _)| record))
    }

    async fn versioned(&self, key: &str) -> Result<Option<(Record, Version)>, StoreError> {
        let Some((bytes, version)) = self.store.get_versioned(key).await? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        Ok(Some((record, version)))
    }

    /// Joins a change into a record, against the version that was read, and makes sure that it is there afterwards, also in a
    /// store without conditional writes. The record as it is then.
    ///
    /// # Errors
    /// As [`Records::read`]; then it may have been written or not, and the call is to be repeated.
    pub async fn join(&self, tenant: &str, place: Place<'_>, change: &Record) -> Result<Record, StoreError> {
        let key = self.key(tenant, place);
        for _ in 0..MAX_RACES {
            let found = self.versioned(&key).await?;
            let mut record = found.as_ref().map(|(record, _)| record.clone()).unwrap_or_default();
            record.join(change);
            if found.as_ref().is_some_and(|(was, _)| *was == record) {
                return Ok(record);
            }
            let bytes = Bytes::from(serde_json::to_vec_pretty(&record).map_err(|_| damaged())?);
            match found {
                Some((_, version)) => self.store.replace(&key, bytes, OPTIONS, &version).await?,
                None => self.store.put_new(&key, bytes, OPTIONS).await?,
            };
            // Read again in any case: what is there now is what counts.
        }
        let action = "write a record of .catalog";
        Err(StoreError::Unavailable { action, detail: "others replace it all the time".to_owned(), source: None })
    }

    /// All that is known of a person: the hashes of all aliases, and their records joined.
    ///
    /// # Errors
    /// As [`Records::read`].
    pub async fn person(&self, tenant: &str, known_as: &[ContactHash]) -> Result<Record, StoreError> {
        let mut all = Record { aliases: known_as.iter().cloned().collect(), ..Record::default() };
        let mut seen = BTreeSet::new();
        while let Some(hash) = all.aliases.iter().find(|hash| !seen.contains(*hash)).cloned() {
            if seen.len() >= MAX_ALIASES {
                return Err(too_many());
            }
            if let Some(record) = self.read(tenant, Place::Contact(&hash)).await? {
                all.join(&record);
            }
            seen.insert(hash);
        }
        Ok(all)
    }

    /// Joins a change into the records of a person, under every alias, and connects these hashes as one person's. All that is
    /// known of the person then.
    ///
    /// # Errors
    /// As [`Records::join`].
    pub async fn join_person(
        &self,
        tenant: &str,
        known_as: &[ContactHash],
        change: &Record,
    ) -> Result<Record, StoreError> {
        let mut all = self.person(tenant, known_as).await?;
        all.join(change);
        // What another writer has connected or decided meanwhile comes along, and then stands under every alias too.
        for _ in 0..MAX_RACES {
            if all.aliases.len() > MAX_ALIASES {
                return Err(too_many());
            }
            let before = all.clone();
            for hash in &before.aliases {
                all.join(&self.join(tenant, Place::Contact(hash), &before).await?);
            }
            if all == before {
                return Ok(all);
            }
        }
        let action = "write the records of a person";
        Err(StoreError::Unavailable { action, detail: "others change them all the time".to_owned(), source: None })
    }

    /// Joins a change into the records of those whom a selector means. All that is known of them then.
    ///
    /// # Errors
    /// As [`Records::join`].
    pub async fn join_selected(
        &self,
        tenant: &str,
        selector: &Selector,
        change: &Record,
    ) -> Result<Record, StoreError> {
        let mut known = Record::default();
        match selector {
            Selector::Media { media_id } => known = self.join(tenant, Place::Media(media_id), change).await?,
            Selector::Contact { known_as } => known = self.join_person(tenant, known_as, change).await?,
            Selector::Conversation { known_as } => {
                for hash in known_as {
                    known.join(&self.join(tenant, Place::Conversation(hash), change).await?);
                }
            }
            // It means nobody: nobody asks for it.
            Selector::Due => {}
        }
        Ok(known)
    }
}

fn damaged() -> StoreError {
    let detail = "the object is no record that any version writes".to_owned();
    StoreError::Invalid { action: "read a record of .catalog", detail }
}

fn too_many() -> StoreError {
    let detail = format!(
        "a person has more than {MAX_ALIASES} identifiers, so that one of them is several people's: erase by conversation or by media"
    );
    StoreError::Invalid { action: "read the records of a person", detail }
}
