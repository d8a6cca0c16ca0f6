//! The role: one queue for what people ask for.

use std::time::Duration;

use crate::broker::{BrokerError, Delivery, Ladder, Publisher, QueueSpec, Topology};
use crate::config::Config;
use crate::error::{Code, Fault};
use crate::events::{
    CONSENT_KEY, CONSENT_TYPE, Consent, ERASE_KEY, ERASE_TYPE, Erase, Event, HOLD_KEY, HOLD_TYPE, Hold, REVOKED_TYPE,
    Revoked, Stage,
};
use crate::privacy::Policy;
use crate::privacy::audit::NoteError;
use crate::runtime::{Failure, Incoming, Intake, MessageInfo, Metrics, Part, Role, Service, Verdict};
use crate::store::Store;

use super::Conduct;

/// The queue, behind the exchange's name.
pub const QUEUE: &str = "privacy";
/// How long an erasure that is being carried out may go on when the process stops; it is finished later otherwise.
const GRACE: Duration = Duration::from_secs(20);

/// What an event asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A person has decided.
    Consent(Consent),
    /// Delete for certain.
    Erase(Erase),
    /// Something must not be deleted, or may be again.
    Hold(Hold),
    /// A message was taken back.
    Revoked(Box<Revoked>),
}

/// Does what people ask for.
#[derive(Debug)]
pub struct PrivacyRole {
    pub(super) conduct: Conduct,
    pub(super) policy: Policy,
    ladder: Ladder,
}

/// A message, as far as it could be read.
#[derive(Debug)]
pub struct Reading {
    info: MessageInfo,
    asked: Result<(Event, Asked), Fault>,
}

/// Why the role cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The key of the audit log.
    #[error(transparent)]
    Audit(#[from] NoteError),
}

/// A role that has not connected yet, and what it conducts erasures with.
///
/// # Errors
/// [`SetupError`]
pub fn service(config: &Config, store: &Store) -> Result<(Service<PrivacyRole>, Conduct), SetupError> {
    let ladder = ladder(config);
    let topology = Topology::new(&config.broker, vec![queue(&ladder)])?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    let conduct = Conduct::new(config, store, Some((publisher.clone(), topology)), "mediamill")?;
    let role = PrivacyRole { conduct: conduct.clone(), policy: Policy::new(config), ladder };
    let metrics = Metrics::default();
    metrics.describe(&[], &[QUEUE], &[]);
    Ok((Service::new(&config.broker, GRACE, role, publisher, metrics)?, conduct))
}

/// What the role declares where it is configured: where `privacy.key` is set.
pub fn queues(config: &Config) -> impl Iterator<Item = QueueSpec> {
    (!config.privacy.key.is_empty()).then(|| queue(&ladder(config))).into_iter()
}

fn ladder(config: &Config) -> Ladder {
    Ladder { delays_s: config.broker.retry_delays_s.clone(), jitter_percent: 0 }
}

fn queue(ladder: &Ladder) -> QueueSpec {
    QueueSpec::new(QUEUE, &[CONSENT_KEY, ERASE_KEY, HOLD_KEY, "message.revoked"], ladder.clone())
}

impl Asked {
    /// What an event asks for.
    ///
    /// # Errors
    /// A [`Fault::Rejected`] that names the event's type and no word of its data.
    pub fn read(event: &Event) -> Result<Self, Fault> {
        let data = event.data.clone();
        let read = match event.kind.as_str() {
            CONSENT_TYPE => serde_json::from_value(data).map(Self::Consent),
            ERASE_TYPE => serde_json::from_value(data).map(Self::Erase),
            HOLD_TYPE => serde_json::from_value(data).map(Self::Hold),
            REVOKED_TYPE => serde_json::from_value(data).map(Self::Revoked),
            _ => {
                return Err(Fault::rejected(
                    Code::EventUnsupported,
                    "the event is of a type that nothing is done about",
                ));
            }
        };
        read.map_err(|_| invalid(&format!("data breaks the schema of {}", event.kind)))
    }

    fn tenant(&self) -> &str {
        match self {
            Self::Consent(consent) => &consent.tenant,
            Self::Erase(erase) => &erase.tenant,
            Self::Hold(hold) => &hold.tenant,
            Self::Revoked(revoked) => &revoked.tenant,
        }
    }
}

/// The event cannot be understood.
pub(super) fn invalid(message: &str) -> Fault {
    Fault::rejected(Code::EventInvalid, message)
}

impl Role for PrivacyRole {
    const NAME: &'static str = "privacy";
    type Message = Reading;

    fn queues(&self) -> Vec<QueueSpec> {
        vec![queue(&self.ladder)]
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: 4, batch: 1 }
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        let event = match Event::decode(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Ok(event) => event,
            Err(error) => return Reading { info: MessageInfo::default(), asked: Err(error.into()) },
        };
        let asked = Asked::read(&event);
        let info = MessageInfo {
            event_id: Some(event.id.clone()),
            asked_at: event.timestamp(),
            tenant: asked.as_ref().map(|asked| asked.tenant().to_owned()).unwrap_or_default(),
            media_id: None,
            trace: event.trace.clone(),
        };
        Reading { info, asked: asked.map(|asked| (event, asked)) }
    }

    fn info(&self, message: &Reading) -> MessageInfo {
        message.info.clone()
    }

    async fn handle(&self, messages: &[Incoming<Reading>]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(messages.len());
        for message in messages {
            let done = match &message.message.asked {
                Ok((event, asked)) => Box::pin(self.act(event, asked)).await,
                Err(fault) => Err(fault.clone()),
            };
            verdicts.push(match done {
                Ok(()) => Verdict::Done,
                Err(fault) => Verdict::Failed(Failure { stage: Stage::Store, fault }),
            });
        }
        verdicts
    }

    async fn parts(&self) -> Vec<Part> {
        let store = self.conduct.store().check().await.err().map(|error| Fault::from(error).message().to_owned());
        vec![Part { name: "store", trouble: store }]
    }
}
