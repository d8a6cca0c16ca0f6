//! What a privacy officer asks for. It is below `.catalog/` of the store, and so in force, before it is answered. The privacy role
//! carries it out: it is told by the same event that a CRM would send.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::SetupError;
use crate::broker::{BrokerError, Message, Publisher, Topology};
use crate::config::Config;
use crate::events::{ERASE_KEY, ERASE_TYPE, Erase, ErasedBecause, Event, HOLD_KEY, HOLD_TYPE, Hold};
use crate::privacy::audit::AuditIndex;
use crate::privacy::{
    Certificate, Eraser, Erasure, HoldState, Record, Request, Selector, SelectorError, Subject, subject,
};
use crate::store::{Store, StoreError};

/// How long the broker may take to confirm an event.
const TELL: Duration = Duration::from_secs(10);

/// Why it is not done. It may be in force all the same; asking again does no harm.
#[derive(Debug, thiserror::Error)]
pub(super) enum OfficeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker confirms nothing, or the event is none.
    #[error("the broker does not confirm the event that tells the privacy role")]
    Untold,
}

/// An erasure, as far as it is.
#[derive(Debug)]
pub(super) enum Progress {
    /// It was begun.
    Begun(Erasure),
    /// It has its certificate.
    Done(Certificate),
}

/// Puts what is asked for into the store, and tells the privacy role.
#[derive(Debug)]
pub(super) struct Office {
    store: Store,
    eraser: Eraser,
    publisher: Publisher,
    topology: Topology,
    /// The attribute `source` of events.
    source: String,
}

impl Office {
    /// Over this store. It connects to the broker when there is something to tell.
    pub(super) fn new(config: &Config, store: &Store) -> Result<Self, SetupError> {
        let topology = Topology::new(&config.broker, Vec::new())?;
        Ok(Self {
            store: store.clone(),
            eraser: Eraser::new(config, store),
            publisher: Publisher::new(&config.broker, topology.clone()),
            topology,
            source: config.worker.event_source.clone(),
        })
    }

    /// Whom or what is meant.
    pub(super) fn selector(&self, meant: &Erase) -> Result<Selector, SelectorError> {
        self.eraser.selector(meant)
    }

    /// Begins an erasure: from then on nothing that it covers is stored, and it is finished, by a later sweep at the latest.
    pub(super) async fn erase(&self, asked: &Erase, request: Request) -> Result<Erasure, OfficeError> {
        let erasure = self.eraser.begin(request).await?;
        self.tell(&erasure.number, ERASE_TYPE, ERASE_KEY, asked).await?;
        Ok(erasure)
    }

    /// What an erasure is to be, under a number of its own.
    pub(super) fn request(asked: &Erase, selector: Selector, erased_at: Timestamp) -> Request {
        Request {
            number: Uuid::now_v7().to_string(),
            tenant: asked.tenant.clone(),
            selector,
            because: ErasedBecause::Request,
            reason: asked.reason.clone(),
            erased_at,
        }
    }

    /// Sets or releases a hold. The role then erases what had been refused for it.
    pub(super) async fn hold(
        &self,
        id: &str,
        hold: &Hold,
        selector: &Selector,
        decided_at: Timestamp,
    ) -> Result<(), OfficeError> {
        let state = HoldState { held: hold.held, decided_at };
        let change = Record { holds: [(hold.case_id.clone(), state)].into(), ..Record::default() };
        self.eraser.records().join_selected(&hold.tenant, selector, &change).await?;
        self.tell(id, HOLD_TYPE, HOLD_KEY, hold).await
    }

    /// Everything that is held.
    pub(super) async fn subject(
        &self,
        index: &dyn AuditIndex,
        tenant: &str,
        selector: &Selector,
    ) -> Result<Subject, StoreError> {
        subject(&self.store, &self.eraser, Some(index), tenant, selector).await
    }

    /// All erasures that have no certificate yet.
    pub(super) async fn begun(&self) -> Result<Vec<Erasure>, StoreError> {
        self.eraser.begun().await
    }

    /// How far an erasure of this tenant is; nothing where there is none of this number.
    pub(super) async fn progress(&self, tenant: &str, number: &str) -> Result<Option<Progress>, StoreError> {
        // In this order: the certificate is written before the erasure is removed.
        if let Some(erasure) = self.eraser.unfinished(tenant, number).await? {
            return Ok(Some(Progress::Begun(erasure)));
        }
        Ok(self.eraser.certificate(tenant, number).await?.map(Progress::Done))
    }

    async fn tell<T: Serialize + Sync>(
        &self,
        id: &str,
        kind: &str,
        routing_key: &str,
        data: &T,
    ) -> Result<(), OfficeError> {
        let event = Event {
            id: id.to_owned(),
            source: self.source.clone(),
            kind: kind.to_owned(),
            subject: None,
            time: Some(Timestamp::now().to_string()),
            trace: None,
            data: serde_json::to_value(data).map_err(|_| OfficeError::Untold)?,
        };
        let message = Message::event(&self.topology, routing_key, &event);
        match timeout(TELL, self.publisher.deliver(&message)).await {
            Ok(told) => Ok(told?),
            Err(_elapsed) => Err(OfficeError::Untold),
        }
    }
}
