//! Everything that is held of a person: what a person may ask for, and what an erasure would remove.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Conduct, ConductError};
use crate::events::Manifest;
use crate::privacy::audit::{Action, AuditIndex, about_media, about_person, entries_about};
use crate::privacy::{ContactHash, Find, Place, Record, Selector};
use crate::store::{Listed, MAX_PAGE};

/// What is held of a person or a conversation, or one media.
#[derive(Debug)]
pub struct Subject {
    /// For people and programs; `index.json` of an export.
    pub index: Value,
    /// Objects of the media, manifests included.
    pub objects: Vec<Listed>,
}

/// Looks everything up. The audit log notes it. Without an index of the audit log all of that is read.
///
/// # Errors
/// [`ConductError`]
pub async fn subject(
    conduct: &Conduct,
    tenant: &str,
    selector: &Selector,
    index: Option<&dyn AuditIndex>,
) -> Result<Subject, ConductError> {
    let now = Timestamp::now();
    let found = conduct.scan().find(tenant, selector, now).await?;
    let known_as = [selector.known_as(), &found.aliases].concat();
    let record = known(conduct, tenant, selector, &known_as).await?;
    let (mut media, mut objects) = (Vec::new(), Vec::new());
    for (media_id, sender) in &found.media {
        let held_for = conduct.eraser().held_for(tenant, media_id, sender).await?;
        let (described, of_media) = describe(conduct, tenant, media_id).await?;
        let Some(mut described) = described else { continue };
        described["held_for"] = json!(held_for);
        media.push(described);
        objects.extend(of_media);
    }
    let media_ids = found.media.keys().map(|media_id| about_media(media_id));
    let whom = known_as.iter().map(about_person).chain(media_ids).collect();
    let mut audit = entries_about(conduct.store(), index, tenant, &whom).await?;
    // Others who stand in the same list are none of this person's business.
    audit.iter_mut().for_each(|entry| entry.contact.retain(|hash| known_as.contains(hash)));
    let index = json!({
        "version": 1,
        "tenant": tenant,
        "made_at": now,
        "selected_by": selector.as_str(),
        "identifiers": record.aliases.len(),
        "consents": record.consents,
        "holds": record.holds,
        "retention": record.retention,
        "erased": record.erased,
        "media": media,
        "audit": audit,
        "unreadable_manifests": found.unreadable,
        "copies": "consumers of the outcome events have copies; their deliveries are not known here",
    });
    conduct.note(Action::Subject, tenant, |entry| entry.contact = known_as).await?;
    Ok(Subject { index, objects })
}

async fn known(
    conduct: &Conduct,
    tenant: &str,
    selector: &Selector,
    known_as: &[ContactHash],
) -> Result<Record, ConductError> {
    let records = conduct.eraser().records();
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
    conduct: &Conduct,
    tenant: &str,
    media_id: &str,
) -> Result<(Option<Value>, Vec<Listed>), ConductError> {
    let folder = conduct.store().folder(tenant, media_id);
    let Some(bytes) = conduct.store().get(&folder.manifest()).await? else { return Ok((None, Vec::new())) };
    let Ok(manifest) = Manifest::read(&bytes) else { return Ok((None, Vec::new())) };
    let (mut objects, mut after) = (Vec::new(), None);
    loop {
        let page = conduct.store().list(&folder.prefix(), after.as_ref(), MAX_PAGE).await?;
        objects.extend(page.objects);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let message = manifest.messages().pop();
    let listed: Vec<Value> = objects
        .iter()
        .map(|object| json!({ "object": within(&object.key, &folder.prefix()), "size_bytes": object.size_bytes }))
        .collect();
    let described = json!({
        "media_id": media_id,
        "message": message,
        "expires_at": manifest.expires_at(),
        "objects": listed,
    });
    Ok((Some(described), objects))
}

/// A key without what all keys of its media begin with.
pub(super) fn within<'a>(key: &'a str, prefix: &str) -> &'a str {
    key.strip_prefix(prefix).unwrap_or(key)
}
