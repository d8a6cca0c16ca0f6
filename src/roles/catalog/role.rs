//! The catalogue as a role: outcomes in batches into the index.
//!
//! A batch is one transaction, and its messages are acknowledged after it. Where the database does not answer, messages go back
//! to their queue and none are taken until it does: an outage costs no message a try. The same where it refuses everything. Where it
//! refuses a batch, each message of it is tried alone, so that one that cannot be stored keeps no others from it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::index::{Change, Index, MediaState};
use super::ingest::{Hasher, change};
use super::overrides::Overrides;
use super::wiping::Wiping;
use crate::broker::{Delivery, Ladder, QueueSpec};
use crate::config;
use crate::database::DatabaseError;
use crate::error::{Code, Fault};
use crate::events::{Event, Stage};
use crate::runtime::{Failure, Incoming, Intake, MessageInfo, Part, Role, Verdict};

/// The queue, behind the exchange's name.
pub const QUEUE: &str = "catalog";
/// What outcomes and what comes after them are published with.
const KEYS: [&str; 6] =
    ["media.normalized.*", "media.rejected", "media.failed", "media.erased", "media.transcribed", "message.edited"];

/// The queue that the catalogue takes messages from.
#[must_use]
pub fn queue(broker: &config::Broker) -> QueueSpec {
    QueueSpec::new(QUEUE, &KEYS, Ladder { delays_s: broker.retry_delays_s.clone(), jitter_percent: 0 })
}

/// Stores outcomes in the index.
pub struct Catalog {
    index: Arc<dyn Index>,
    overrides: Overrides,
    hasher: Box<Hasher>,
    queue: QueueSpec,
    batch: u16,
    wiping: Wiping,
    /// Whether the database did not answer when it was last needed.
    is_away: AtomicBool,
}

/// A message, as far as it could be read.
#[derive(Debug)]
pub struct Reading {
    info: MessageInfo,
    /// Nothing where the index has no use for it.
    change: Result<Option<Change>, Fault>,
}

impl Catalog {
    /// A role that stores in this index.
    #[must_use]
    pub fn new(
        broker: &config::Broker,
        catalog: &config::Catalog,
        index: Arc<dyn Index>,
        overrides: Overrides,
        hasher: Box<Hasher>,
    ) -> Self {
        Self {
            wiping: Wiping::new(Arc::clone(&index)),
            index,
            overrides,
            hasher,
            queue: queue(broker),
            batch: catalog.batch,
            is_away: AtomicBool::new(false),
        }
    }

    async fn store(&self, changes: &[Change]) -> Result<(), Fault> {
        let mut erased = BTreeSet::new();
        for change in changes {
            let (tenant, media_id) = change.media();
            match change {
                Change::Erased { .. } => drop(erased.insert((tenant, media_id))),
                // What comes late of an erased media is not kept.
                Change::Captioned { .. } | Change::Transcribed { .. } => {
                    let row = match self.index.get(tenant, media_id).await {
                        Ok(row) => row,
                        Err(error) => return Err(self.failed(error).await),
                    };
                    if erased.contains(&(tenant, media_id)) || row.is_some_and(|row| row.state == MediaState::Erased) {
                        continue;
                    }
                }
                Change::Outcome(_) | Change::Expires { .. } => {}
            }
            self.overrides.keep(change).await?;
        }
        if let Err(error) = self.index.apply(changes).await {
            return Err(self.failed(error).await);
        }
        self.wiping.after(!erased.is_empty());
        Ok(())
    }

    /// Notes where the trouble is the database's and no message's: it does not answer, or it refuses a search as well (a password
    /// that was changed, a database that is gone).
    async fn failed(&self, error: DatabaseError) -> Fault {
        let is_away = match &error {
            DatabaseError::Unavailable { .. } => true,
            _ => self.index.check().await.is_err(),
        };
        if is_away {
            self.is_away.store(true, Ordering::SeqCst);
        }
        error.into()
    }

    /// What becomes of messages that could not be stored together.
    async fn one_by_one(&self, readings: &[&Reading]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(readings.len());
        for reading in readings {
            verdicts.push(match &reading.change {
                Err(fault) => failed(Stage::Parse, fault.clone()),
                Ok(None) => Verdict::Done,
                Ok(Some(change)) => match self.store(std::slice::from_ref(change)).await {
                    Ok(()) => Verdict::Done,
                    Err(_) if self.is_away.load(Ordering::SeqCst) => Verdict::PutBack,
                    Err(fault) => failed(Stage::Store, fault),
                },
            });
        }
        verdicts
    }
}

fn failed(stage: Stage, fault: Fault) -> Verdict {
    Verdict::Failed(Failure { stage, fault })
}

impl Role for Catalog {
    const NAME: &'static str = "catalog";
    type Message = Reading;

    fn queues(&self) -> Vec<QueueSpec> {
        vec![self.queue.clone()]
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: self.batch.saturating_mul(2), batch: self.batch }
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        match Event::decode_outcome(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Err(error) => Reading { info: MessageInfo::default(), change: Err(error.into()) },
            Ok(event) => {
                let id = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
                let info = MessageInfo {
                    event_id: Some(event.id.clone()),
                    asked_at: event.timestamp(),
                    tenant: id("tenant").unwrap_or_default(),
                    media_id: id("media_id"),
                    trace: event.trace.clone(),
                };
                Reading { info, change: change(&event, &self.hasher) }
            }
        }
    }

    fn info(&self, message: &Reading) -> MessageInfo {
        message.info.clone()
    }

    async fn handle(&self, messages: &[Incoming<Reading>]) -> Vec<Verdict> {
        let readings: Vec<&Reading> = messages.iter().map(|incoming| &incoming.message).collect();
        let changes: Vec<Change> =
            readings.iter().filter_map(|reading| reading.change.as_ref().ok().cloned().flatten()).collect();
        match self.store(&changes).await {
            Ok(()) => readings
                .iter()
                .map(|reading| match &reading.change {
                    Ok(_) => Verdict::Done,
                    Err(fault) => failed(Stage::Parse, fault.clone()),
                })
                .collect(),
            Err(_) if self.is_away.load(Ordering::SeqCst) => {
                tracing::warn!(
                    messages = messages.len(),
                    "the database does not answer, or refuses everything: messages go back to their queue"
                );
                messages.iter().map(|_| Verdict::PutBack).collect()
            }
            Err(fault) if messages.len() == 1 => vec![failed(Stage::Store, fault)],
            Err(fault) => {
                let code = fault.code().unwrap_or(Code::DatabaseRefused);
                tracing::warn!(%code, messages = messages.len(), "a batch cannot be stored: each message is tried alone");
                self.one_by_one(&readings).await
            }
        }
    }

    async fn check(&self) -> Result<(), Fault> {
        self.index.check().await?;
        self.is_away.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn is_unable(&self) -> bool {
        self.is_away.load(Ordering::SeqCst)
    }

    async fn parts(&self) -> Vec<Part> {
        let trouble = self.index.check().await.err().map(|error| error.to_string());
        vec![Part { name: "database", trouble }]
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("index", &self.index).field("batch", &self.batch).finish_non_exhaustive()
    }
}
