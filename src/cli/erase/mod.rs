//! `mediamill erase`: deletes for certain, and prints the certificate.

mod identity;
#[cfg(feature = "media")]
mod letters;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use super::{CliError, EXIT_FAILED, Global, runtime};
use crate::broker::{BrokerError, Message, Publisher, Topology};
use crate::config::Config;
use crate::events::{ERASED_KEY, Erase, ErasedBecause, Tombstone};
use crate::privacy::audit::{Action, AuditLog, Entry};
use crate::privacy::{Certificate, ContactKey, Eraser, Erasure, Request, Scan, residue};
use crate::store::Store;
use crate::telemetry;

pub(super) use identity::{Identity, read as read_identity};

/// How long the broker may take to confirm that others are told of one media.
const TELL: Duration = Duration::from_secs(30);

/// Options of `erase`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose media
    #[arg(long, required_unless_present = "resume")]
    tenant: Option<String>,
    /// One media. Without it, standard input says who is meant, a line each: phone=+5511…, user_id=…, contact_id=…, or
    /// conversation_id=… alone. Nothing of it is ever in a command line or a log
    #[arg(long)]
    media_id: Option<String>,
    /// Why, as a short name without anything personal; it stands in the certificate
    #[arg(long)]
    reason: Option<String>,
    /// What was sent up to this time (RFC 3339); now where it is not given
    #[arg(long, value_name = "TIME")]
    sent_until: Option<Timestamp>,
    /// Instead: finish erasures that were begun
    #[arg(long, conflicts_with_all = ["media_id", "reason", "sent_until"])]
    resume: bool,
    /// Do not talk to the broker: nobody is told, dead letters stay, and the certificate says so
    #[arg(long)]
    offline: bool,
}

/// Erases. Exit code 1 where something stays: it is held for a case, or nobody can read its manifest.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let erase = if args.resume { None } else { Some(asked(args)?) };
    let certificates = runtime()?.block_on(erase_all(args, erase, &config))?;
    let mut out = io::stdout().lock();
    let mut whole = true;
    for certificate in &certificates {
        whole &= certificate.refused.is_empty() && certificate.unreadable_manifests == 0;
        writeln!(out, "{}", serde_json::to_string_pretty(certificate).map_err(io::Error::other)?)?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// What is asked for, as an event would ask.
fn asked(args: &Args) -> Result<Erase, CliError> {
    let tenant = args.tenant.clone().unwrap_or_default();
    let Identity { contact, conversation_id } = match &args.media_id {
        Some(_) => Identity::default(),
        None => read_identity(io::stdin().lock())?,
    };
    Ok(Erase {
        tenant,
        media_id: args.media_id.clone(),
        contact,
        conversation_id,
        erased_at: args.sent_until.map(|until| until.to_string()),
        reason: args.reason.clone(),
    })
}

async fn erase_all(args: &Args, erase: Option<Erase>, config: &Config) -> Result<Vec<Certificate>, CliError> {
    let store = Store::connect(&config.store).await?;
    let log = AuditLog::new(&config.privacy, &store).map_err(|error| CliError::Usage(error.to_string()))?;
    let work = Work {
        config,
        eraser: Eraser::new(config, &store),
        scan: Scan::new(store.clone(), ContactKey::new(&config.privacy)),
        broker: if args.offline { None } else { Some(Broker::new(config)?) },
        log,
        actor: format!("uid {}", rustix::process::getuid().as_raw()),
    };
    let begun = match erase {
        Some(erase) => vec![work.begin(&erase, args.sent_until).await?],
        None => work.eraser.begun().await?,
    };
    let mut certificates = Vec::new();
    for erasure in begun {
        certificates.push(work.finish(erasure).await?);
    }
    if let Some(log) = work.log.as_ref().filter(|_| !certificates.is_empty()) {
        log.checkpoint().await?;
    }
    Ok(certificates)
}

/// Tells others.
struct Broker {
    publisher: Publisher,
    topology: Topology,
}

impl Broker {
    fn new(config: &Config) -> Result<Self, CliError> {
        let topology = Topology::new(&config.broker, Vec::new())?;
        Ok(Self { publisher: Publisher::new(&config.broker, topology.clone()), topology })
    }

    async fn tell(&self, tombstone: &Tombstone, source: &str) -> Result<(), CliError> {
        let message = Message::event(&self.topology, ERASED_KEY, &tombstone.event(source));
        match timeout(TELL, self.publisher.publish(&message)).await {
            // Nobody wants to know.
            Ok(Ok(()) | Err(BrokerError::Unroutable { .. })) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => {
                let text = "the broker does not confirm that others are told: the erasure was begun, and erase --resume ends it";
                Err(CliError::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

struct Work<'a> {
    config: &'a Config,
    eraser: Eraser,
    scan: Scan,
    broker: Option<Broker>,
    log: Option<AuditLog>,
    actor: String,
}

impl Work<'_> {
    async fn begin(&self, erase: &Erase, until: Option<Timestamp>) -> Result<Erasure, CliError> {
        let selector = self.eraser.selector(erase).map_err(|error| CliError::Usage(error.to_string()))?;
        let request = Request {
            number: Uuid::now_v7().to_string(),
            tenant: erase.tenant.clone(),
            selector,
            because: ErasedBecause::Request,
            reason: erase.reason.clone(),
            erased_at: until.unwrap_or_else(Timestamp::now),
        };
        let erasure = self.eraser.begin(request).await?;
        self.note(Action::EraseBegun, &erasure).await?;
        Ok(erasure)
    }

    async fn finish(&self, mut erasure: Erasure) -> Result<Certificate, CliError> {
        self.eraser.plan(&mut erasure, &self.scan).await?;
        let mut residues = residue::residues(self.config, Timestamp::now());
        let done = self.eraser.carry_out(&erasure, &residues).await?;
        let dead_letters = match &self.broker {
            Some(broker) => {
                for tombstone in &done.tombstones {
                    broker.tell(tombstone, &self.config.worker.event_source).await?;
                }
                self.discard_dead_letters(&erasure).await?
            }
            None => {
                residues.push(residue::untold());
                None
            }
        };
        if dead_letters.is_none() {
            residues.push(residue::dead_letters());
        }
        self.note(Action::EraseDone, &erasure).await?;
        Ok(self.eraser.certify(erasure, done.wiped, dead_letters.unwrap_or(0), residues).await?)
    }

    /// Throws away what waits in the dead-letter queue and would bring an erased media back. How many; nothing where this program
    /// does not know the queue.
    #[cfg(feature = "media")]
    async fn discard_dead_letters(&self, erasure: &Erasure) -> Result<Option<u64>, CliError> {
        letters::discard(self.config, erasure, self.eraser.key()).await.map(Some)
    }

    #[cfg(not(feature = "media"))]
    #[expect(clippy::unused_async, reason = "as with the worker's queues")]
    async fn discard_dead_letters(&self, _erasure: &Erasure) -> Result<Option<u64>, CliError> {
        Ok(None)
    }

    async fn note(&self, action: Action, erasure: &Erasure) -> Result<(), CliError> {
        let Some(log) = &self.log else { return Ok(()) };
        let entry = Entry {
            contact: erasure.selector.known_as().to_vec(),
            about: Some(erasure.number.clone()),
            ..Entry::now(&self.actor, action, &erasure.tenant)
        };
        Ok(log.append(&[entry]).await?)
    }
}
