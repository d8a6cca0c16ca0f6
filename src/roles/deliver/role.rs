//! The role: what it takes from which queues, and what becomes of a message.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::command::{self, Command};
use super::destination::{Class, Failed};
use super::engine::{Ended, Halt, now_s};
use super::inner::Inner;
use super::site::Site;
use super::subject::{Subject, Word};
use super::{alert, resend};
use crate::broker::{BrokerError, Delivery, Ladder, Message, QueueSpec, WorkQueue};
use crate::config;
use crate::error::{Code, Fault};
use crate::events::{ALERT_KEY, Event, Stage};
use crate::runtime::{Ending, Failure, Incoming, Intake, MessageInfo, Part, Role, Verdict};

/// After so many attempts an event that the map is wrong for is an event's matter, and not the map's.
const MAX_MAPPING_ATTEMPTS: u32 = 3;
/// A destination is not disabled before so many failures, however long ago the first was.
const MIN_FAILURES: i64 = 3;
/// When a message comes again that cannot be handled now.
const SOON: Duration = Duration::from_secs(10);

/// Delivers outcomes.
#[derive(Debug, Clone)]
pub struct Deliver(pub(super) Arc<Inner>);

/// A message as it was read.
#[derive(Debug)]
pub enum Reading {
    /// An event that can be delivered.
    Event(Box<Event>, Subject),
    /// What an operator asks for.
    Command(Command),
    /// Neither.
    Unreadable(Fault),
}

impl Role for Deliver {
    const NAME: &'static str = "deliver";
    type Message = Reading;

    fn queues(&self) -> Vec<QueueSpec> {
        queues(&self.0.sites, &self.0.ladder)
    }

    fn intake(&self) -> Intake {
        let most = self.0.sites.iter().map(|site| site.config.concurrency).max().unwrap_or(1);
        Intake::Consume { prefetch: most, batch: 1 }
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        read(delivery)
    }

    fn info(&self, message: &Reading) -> MessageInfo {
        match message {
            Reading::Event(event, subject) => MessageInfo {
                event_id: Some(event.id.clone()),
                asked_at: event.timestamp(),
                tenant: subject.tenant.clone(),
                media_id: Some(subject.media_id.clone()).filter(|id| !id.is_empty()),
                trace: event.trace.clone(),
            },
            Reading::Command(_) | Reading::Unreadable(_) => MessageInfo::default(),
        }
    }

    async fn handle(&self, messages: &[Incoming<Reading>]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(messages.len());
        for message in messages {
            verdicts.push(Box::pin(self.one(message)).await);
        }
        verdicts
    }

    async fn ended(
        &self,
        message: &Incoming<Reading>,
        _ending: Ending,
        _note: &crate::broker::Note,
    ) -> Result<crate::runtime::Settled, Failure> {
        if let (Some(site), Reading::Event(_, subject)) = (self.site(message), &message.message) {
            self.0.metrics.ended(&site.name, subject.word, "parked");
        }
        Ok(crate::runtime::Settled::DeadLetter)
    }

    async fn check(&self) -> Result<(), Fault> {
        self.0.engine.ledger.check().await.map_err(Fault::from)
    }

    fn paused_until(&self, queue: usize) -> Option<Instant> {
        self.0.sites.get(queue.checked_sub(1)?)?.gate.paused_until()
    }

    async fn parts(&self) -> Vec<Part> {
        let trouble = self.0.engine.ledger.check().await.err().map(|error| error.to_string());
        vec![Part { name: "ledger", trouble }]
    }
}

/// The queues of the role: commands first, then one for each destination.
pub(super) fn queues(sites: &[Site], ladder: &Ladder) -> Vec<QueueSpec> {
    let shared = |spec: QueueSpec| QueueSpec { shares_delays: true, ..spec };
    let commands = shared(QueueSpec::new(command::QUEUE, &[], ladder.clone()));
    let of_site = |site: &Site| {
        let keys: Vec<&str> = site.takes().into_iter().flat_map(|word| word.keys().iter().copied()).collect();
        shared(QueueSpec::new(site.queue(), &keys, ladder.clone()))
    };
    std::iter::once(commands).chain(sites.iter().map(of_site)).collect()
}

/// The ladder of all destinations.
pub(super) fn ladder(config: &config::Ledger) -> Ladder {
    Ladder { delays_s: config.retry_delays_s.clone(), jitter_percent: config.retry_jitter_percent }
}

fn read(delivery: &Delivery) -> Reading {
    let event = match Event::decode_outcome(delivery.content_type(), &delivery.headers(), delivery.body()) {
        Ok(event) => event,
        Err(error) => return Reading::Unreadable(error.into()),
    };
    if let Some(command) = Command::read(&event) {
        return Reading::Command(command);
    }
    match Subject::of(&event) {
        Some(subject) => Reading::Event(Box::new(event), subject),
        None => {
            let text = "the event is of a type that is not delivered, or has no tenant and media_id";
            Reading::Unreadable(Fault::rejected(Code::EventUnsupported, text))
        }
    }
}

impl Deliver {
    fn site(&self, message: &Incoming<Reading>) -> Option<&Site> {
        self.0.sites.get(message.delivery.queue().index.checked_sub(1)?)
    }

    async fn one(&self, message: &Incoming<Reading>) -> Verdict {
        match (&message.message, self.site(message)) {
            (Reading::Unreadable(fault), _) => failed(Stage::Parse, fault.clone()),
            // Commands count where they come from the queue that nothing is bound to.
            (Reading::Command(command), None) => self.command(command).await,
            (Reading::Event(event, subject), Some(site)) => self.event(site, event, subject, message).await,
            (Reading::Command(_), Some(_)) | (Reading::Event(..), None) => {
                failed(Stage::Parse, Fault::rejected(Code::EventUnsupported, "the message is in the wrong queue"))
            }
        }
    }

    async fn event(&self, site: &Site, event: &Event, subject: &Subject, message: &Incoming<Reading>) -> Verdict {
        let (name, word) = (&site.name, subject.word);
        if !site.wants(subject) {
            if matches!(word, Word::Normalized | Word::Rejected)
                && let Err(Halt::Ledger(error)) = self.0.engine.unwanted(site, subject).await
            {
                return failed(Stage::Publish, error.into());
            }
            self.0.metrics.ended(name, word, "unwanted");
            return Verdict::Done;
        }
        let is_old = is_too_old(site, subject, message.delivery.published_at());
        if site.gate.is_stopped() {
            site.gate.looked(is_old);
            if !is_old {
                return Verdict::PutBack;
            }
        }
        // A request to erase does not expire.
        if is_old && word != Word::Erased {
            self.0.metrics.ended(name, word, "expired");
            let text = format!("the event has waited for {name} longer than {} s (max_age_s)", site.config.max_age_s);
            return failed(Stage::Publish, Fault::broken(Code::DeliverExpired, text));
        }
        let Some(_place) = site.gate.place().await else { return Verdict::PutBack };
        match Box::pin(self.0.engine.deliver(site, event, subject)).await {
            Ok(ended) => {
                let how = match ended {
                    Ended::Delivered => "delivered",
                    Ended::Known => "known",
                    Ended::Unwanted => "unwanted",
                    Ended::Erased => "erased",
                };
                self.0.metrics.ended(name, word, how);
                if ended == Ended::Delivered {
                    site.gate.succeeded();
                    if let Err(error) = self.0.engine.ledger.succeeded(name).await {
                        tracing::warn!(destination = name, %error, "a success is not noted");
                    }
                }
                Verdict::Done
            }
            Err(Halt::Busy) => Verdict::PutOffFor("duplicate", SOON),
            Err(Halt::TooEarly(wait)) => Verdict::PutOffFor("read-back", wait),
            Err(Halt::Ledger(error)) => {
                self.0.metrics.failed(name, Code::DeliverLedger.as_str());
                failed(Stage::Publish, error.into())
            }
            Err(Halt::Failed(reason)) => self.failed(site, reason, message.delivery.tries().attempts).await,
        }
    }

    /// What becomes of a message whose delivery failed.
    async fn failed(&self, site: &Site, reason: Failed, attempts_before: u32) -> Verdict {
        let Failed { class, code, message, .. } = reason;
        self.0.metrics.failed(&site.name, code.as_str());
        match class {
            Class::Pause(wait) => {
                tracing::info!(destination = site.name, %code, reason = message, wait_s = wait.as_secs(), "paused");
                site.gate.pause_for(wait);
                Verdict::PutOffFor("paused", wait)
            }
            Class::Transient(retry_after) => {
                if self.has_failed_for_too_long(site).await {
                    let text = format!("nothing was delivered for {} s; last: {message}", site.config.disable_after_s);
                    self.stop(site, Code::DeliverDisabled, &text).await;
                    return Verdict::PutBack;
                }
                failed(Stage::Publish, Fault::Transient { code, message, retry_after })
            }
            Class::Stale => failed(Stage::Publish, Fault::transient(code, message)),
            Class::Park | Class::Abort => failed(Stage::Publish, Fault::rejected(code, message)),
            Class::Stop => {
                self.stop(site, code, &message).await;
                Verdict::PutBack
            }
            Class::Mapping => {
                if site.gate.mapping_failed() >= site.config.mapping_errors {
                    let text = format!(
                        "the map was wrong for {} events in a row; last: {message}",
                        site.config.mapping_errors
                    );
                    self.stop(site, code, &text).await;
                    return Verdict::PutBack;
                }
                if attempts_before.saturating_add(1) >= MAX_MAPPING_ATTEMPTS {
                    return failed(Stage::Publish, Fault::rejected(code, message));
                }
                failed(Stage::Publish, Fault::transient(code, message))
            }
        }
    }

    /// Notes a failure. Whether the destination has failed for so long that it is to be stopped.
    async fn has_failed_for_too_long(&self, site: &Site) -> bool {
        let ledger = &self.0.engine.ledger;
        let standing = async {
            ledger.failed(&site.name, now_s()).await?;
            ledger.standing(&site.name).await
        };
        let Ok(standing) = standing.await else { return false };
        let most_s = i64::try_from(site.config.disable_after_s).unwrap_or(i64::MAX);
        let is_long = standing.failing_since_s.is_some_and(|since_s| now_s().saturating_sub(since_s) >= most_s);
        is_long && standing.failures >= MIN_FAILURES
    }

    /// Stops a destination and tells the operator, once.
    async fn stop(&self, site: &Site, code: Code, explanation: &str) {
        site.gate.set_stopped(true);
        self.0.metrics.stopped(&site.name, true);
        let at = Timestamp::now();
        match self.0.engine.ledger.stop(&site.name, code, explanation, at.as_second()).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                tracing::warn!(destination = site.name, %error, "that it is stopped is known to this process only")
            }
        }
        tracing::error!(
            destination = site.name,
            %code,
            reason = explanation,
            action = super::codes::action(code),
            "the destination is stopped: its events wait in its queue until `mediamill deliver resume`"
        );
        let event = alert::stopped(&self.0.source, &site.name, code, explanation, at);
        let message = Message::event(self.0.publisher.topology(), ALERT_KEY, &event);
        match self.0.publisher.publish(&message).await {
            Ok(()) | Err(BrokerError::Unroutable { .. }) => {}
            Err(error) => tracing::warn!(destination = site.name, %error, "the alert is not published"),
        }
    }

    async fn command(&self, command: &Command) -> Verdict {
        let Some(place) = self.0.sites.iter().position(|site| site.name == command.destination()) else {
            tracing::warn!("a command names a destination that is not configured: it is dropped");
            return Verdict::Done;
        };
        let site = &self.0.sites[place];
        let done = match command {
            Command::Resume { .. } => self.resume(site).await,
            Command::Resend { which, .. } => resend::resend(&self.0, site, WorkQueue::plain(place + 1), which).await,
        };
        match done {
            Ok(()) => Verdict::Done,
            Err(fault) => failed(Stage::Publish, fault),
        }
    }

    async fn resume(&self, site: &Site) -> Result<(), Fault> {
        self.0.engine.ledger.resume(&site.name).await?;
        site.gate.set_stopped(false);
        self.0.metrics.stopped(&site.name, false);
        tracing::info!(destination = site.name, "the destination goes on");
        Ok(())
    }

    /// Brings the gates up to date with the ledger: another replica may have stopped a destination, or let it go on.
    pub(super) async fn look(&self) {
        for site in &self.0.sites {
            match self.0.engine.ledger.standing(&site.name).await {
                Ok(standing) => {
                    site.gate.set_stopped(standing.stopped.is_some());
                    self.0.metrics.stopped(&site.name, standing.stopped.is_some());
                }
                Err(error) => tracing::warn!(destination = site.name, %error, "its standing is not known"),
            }
        }
    }
}

fn failed(stage: Stage, fault: Fault) -> Verdict {
    Verdict::Failed(Failure { stage, fault })
}

/// Whether an event has waited longer than it may: since its own time, or since it was published again.
fn is_too_old(site: &Site, subject: &Subject, published_at: Option<u64>) -> bool {
    let published_at = published_at.and_then(|second| i64::try_from(second).ok());
    let since_s = subject.time.map(Timestamp::as_second).max(published_at);
    let most_s = i64::try_from(site.config.max_age_s).unwrap_or(i64::MAX);
    since_s.is_some_and(|since_s| now_s().saturating_sub(since_s) > most_s)
}
