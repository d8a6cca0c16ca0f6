//! Delivers outcomes again, from the manifests of the store: the ledger holds no events.

use super::command::Which;
use super::engine::now_s;
use super::inner::Inner;
use super::ledger::MediaKey;
use super::site::Site;
use crate::broker::{Message, WorkQueue};
use crate::error::{Code, Fault};
use crate::events::{Event, Manifest, NORMALIZED_TYPE, REJECTED_TYPE, StoredOutcome};
use crate::store::Store;

/// Publishes the current outcomes of these media for one destination. The ledger counts them as not delivered: webhooks are sent
/// again with the same id; what is in a CRM is found again, and what is missing there is made.
pub(super) async fn resend(inner: &Inner, site: &Site, queue: WorkQueue, which: &Which) -> Result<(), Fault> {
    let no_store = || Fault::rejected(Code::StoreUnavailable, "there is no object store that has the manifests");
    let store = inner.engine.store.as_ref().ok_or_else(no_store)?;
    let media = match which {
        Which::Media { tenant, media_id } => vec![(tenant.clone(), media_id.clone())],
        Which::Between(from_s, to_s) => inner.engine.ledger.media_between(&site.name, *from_s, *to_s).await?,
    };
    let mut sent = 0_u64;
    for (tenant, media_id) in &media {
        let key = MediaKey { destination: &site.name, tenant, media_id };
        let Some(event) = event(store, tenant, media_id, &inner.source).await? else {
            tracing::warn!(
                destination = site.name,
                tenant,
                media_id,
                "not sent again: there is no manifest of an outcome"
            );
            continue;
        };
        inner.engine.ledger.reopen(key).await?;
        let message = Message::event_for(inner.publisher.topology(), queue, &event);
        inner.publisher.deliver(&message).await.map_err(Fault::from)?;
        sent += 1;
    }
    tracing::info!(destination = site.name, sent, at_s = now_s(), "outcomes are delivered again");
    Ok(())
}

/// The event of a media's current outcome; nothing where it has none, or was erased.
async fn event(store: &Store, tenant: &str, media_id: &str, source: &str) -> Result<Option<Event>, Fault> {
    let key = store.folder(tenant, media_id).manifest();
    let Some(bytes) = store.get(&key).await.map_err(Fault::from)? else { return Ok(None) };
    let Ok(manifest) = Manifest::read(&bytes) else { return Ok(None) };
    let (id, time, kind, data) = match manifest.current() {
        StoredOutcome::Normalized(record) => (record.event_id(), record.time(), NORMALIZED_TYPE, record.value()),
        StoredOutcome::Rejected(record) => (record.event_id(), record.time(), REJECTED_TYPE, record.value()),
    };
    Ok(Some(Event {
        id: id.to_owned(),
        source: source.to_owned(),
        kind: kind.to_owned(),
        subject: Some(format!("{tenant}/{media_id}")),
        time: Some(time.to_owned()),
        trace: None,
        data: data.clone(),
    }))
}
