//! Everything that is held of a person: what a person may ask for, and what an erasure would remove.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::audit::{AuditIndex, Entry, about_media, about_person, entries_about};
use super::{
    ContactHash, Decision, Eraser, ErasureMark, Find, HoldState, Place, Record, Records, Retention, Scan, Selector,
};
use crate::events::{Manifest, Message};
use crate::store::{Listed, MAX_PAGE, Store, StoreError};

/// What is held of a person or a conversation, or one media.
#[derive(Debug)]
pub struct Subject {
    /// For people and programs; `index.json` of an export.
    pub index: SubjectIndex,
    /// Objects of the media, manifests included.
    pub objects: Vec<Listed>,
    /// Hashes of the identifiers that the person is known by, for the audit log.
    pub known_as: Vec<ContactHash>,
}

/// Everything that is held of a person or a conversation, or of one media.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubjectIndex {
    /// Of this form: 1.
    pub version: u32,
    /// Whose customer.
    pub tenant: String,
    /// When it was looked up (RFC 3339).
    #[schemars(with = "String")]
    pub made_at: Timestamp,
    /// What was asked for: `media`, `contact` or `conversation`.
    pub selected_by: String,
    /// How many identifiers the person is known by.
    pub identifiers: usize,
    /// The latest decision about each purpose.
    pub consents: BTreeMap<String, Decision>,
    /// Holds, by case.
    pub holds: BTreeMap<String, HoldState>,
    /// How long media of this person are kept, where that was decided for this person.
    pub retention: Option<Retention>,
    /// The latest erasure.
    pub erased: Option<ErasureMark>,
    /// The media that are stored.
    pub media: Vec<SubjectMedia>,
    /// What the audit log has of this person.
    pub audit: Vec<Entry>,
    /// Manifests that could not be read, so that it is not known whose they are.
    pub unreadable_manifests: u64,
    /// What is not known here.
    pub copies: String,
}

/// A media that is held.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubjectMedia {
    /// Which one.
    pub media_id: String,
    /// The message that brought it, as the request had it.
    pub message: Option<Message>,
    /// When its time is over (RFC 3339).
    pub expires_at: Option<String>,
    /// Its objects, its manifest among them.
    pub objects: Vec<SubjectObject>,
    /// Cases that it is held for.
    pub held_for: BTreeSet<String>,
}

/// An object of a media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SubjectObject {
    /// Its key without what all keys of the media begin with.
    pub object: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Looks everything up in a store: reads every manifest of the tenant, and of the audit log what `index` knows to be about them, or all of it
/// without one. The caller adds to the audit log that somebody asked.
///
/// # Errors
/// [`StoreError`]
pub async fn subject(
    store: &Store,
    eraser: &Eraser,
    index: Option<&dyn AuditIndex>,
    tenant: &str,
    selector: &Selector,
) -> Result<Subject, StoreError> {
    let now = Timestamp::now();
    let found = Scan::new(store.clone(), eraser.key().cloned()).find(tenant, selector, now).await?;
    let mut known_as = [selector.known_as(), &found.aliases].concat();
    known_as.sort_unstable();
    known_as.dedup();
    let record = known(eraser.records(), tenant, selector, &known_as).await?;
    let (mut media, mut objects) = (Vec::new(), Vec::new());
    for (media_id, sender) in &found.media {
        let held_for = eraser.held_for(tenant, media_id, sender).await?;
        let (described, of_media) = describe(store, tenant, media_id).await?;
        let Some(mut described) = described else { continue };
        described.held_for = held_for;
        media.push(described);
        objects.extend(of_media);
    }
    let media_ids = found.media.keys().map(|media_id| about_media(media_id));
    let whom = known_as.iter().map(about_person).chain(media_ids).collect();
    let mut audit = entries_about(store, index, tenant, &whom).await?;
    // Others who stand in the same list are none of this person's business.
    audit.iter_mut().for_each(|entry| entry.contact.retain(|hash| known_as.contains(hash)));
    let index = SubjectIndex {
        version: 1,
        tenant: tenant.to_owned(),
        made_at: now,
        selected_by: selector.as_str().to_owned(),
        identifiers: record.aliases.len(),
        consents: record.consents,
        holds: record.holds,
        retention: record.retention,
        erased: record.erased,
        media,
        audit,
        unreadable_manifests: found.unreadable,
        copies: "consumers of the outcome events have copies; their deliveries are not known here".to_owned(),
    };
    Ok(Subject { index, objects, known_as })
}

async fn known(
    records: &Records,
    tenant: &str,
    selector: &Selector,
    known_as: &[ContactHash],
) -> Result<Record, StoreError> {
    let mut record = Record::default();
    match selector {
        Selector::Contact { .. } => record = records.person(tenant, known_as).await?,
        Selector::Conversation { .. } => {
            for hash in known_as {
                if let Some(found) = records.read(tenant, Place::Conversation(hash)).await? {
                    record.join(&found);
                }
            }
        }
        Selector::Media { media_id } => {
            record = records.read(tenant, Place::Media(media_id)).await?.unwrap_or_default();
        }
        Selector::Due => {}
    }
    Ok(record)
}

/// What is stored of a media; nothing where that is a tombstone alone, or nothing.
async fn describe(
    store: &Store,
    tenant: &str,
    media_id: &str,
) -> Result<(Option<SubjectMedia>, Vec<Listed>), StoreError> {
    let folder = store.folder(tenant, media_id);
    let Some(bytes) = store.get(&folder.manifest()).await? else { return Ok((None, Vec::new())) };
    let Ok(manifest) = Manifest::read(&bytes) else { return Ok((None, Vec::new())) };
    let (mut objects, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&folder.prefix(), after.as_ref(), MAX_PAGE).await?;
        objects.extend(page.objects);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let listed = objects.iter().map(|object| SubjectObject {
        object: within(&object.key, &folder.prefix()).to_owned(),
        size_bytes: object.size_bytes,
    });
    let described = SubjectMedia {
        media_id: media_id.to_owned(),
        message: manifest.messages().pop(),
        expires_at: manifest.expires_at().map(str::to_owned),
        objects: listed.collect(),
        held_for: BTreeSet::new(),
    };
    Ok((Some(described), objects))
}

/// A key without what all keys of its media begin with.
#[must_use]
pub fn within<'a>(key: &'a str, prefix: &str) -> &'a str {
    key.strip_prefix(prefix).unwrap_or(key)
}
