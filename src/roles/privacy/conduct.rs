//! An erasure from its beginning to its certificate: what is written, who is told, what the audit log says.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::broker::{BrokerError, Message, Publisher, Topology};
use crate::config::Config;
use crate::error::{Code, Fault};
use crate::events::{ERASED_KEY, Tombstone};
use crate::privacy::audit::{Action, AuditIndex, AuditLog, Entry, NoteError};
use crate::privacy::{Certificate, ContactKey, Eraser, Erasure, Request, Scan, Selector, Subject, residue, subject};
use crate::store::{Store, StoreError};

use super::letters;
use super::purge::PurgeHook;

/// How long the broker may take to confirm that others are told of one media.
const TELL: Duration = Duration::from_secs(30);
/// How long an erasure may have been begun before somebody else finishes it.
const ABANDONED_S: i64 = 3600;

/// Why an erasure is not finished. It was begun, and is finished by whoever tries again.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker takes nothing.
    #[error("the broker does not confirm that others are told of an erasure")]
    Untold,
    /// The service of `privacy.purge_url`.
    #[error("what was erased may still be in the content delivery network: privacy.purge_url: {0}")]
    Cached(String),
}

impl From<ConductError> for Fault {
    fn from(error: ConductError) -> Self {
        match error {
            ConductError::Store(error) => error.into(),
            ConductError::Broker(error) => error.into(),
            ConductError::Untold => Self::transient(Code::BrokerUnavailable, error.to_string()),
            ConductError::Cached(_) => Self::transient(Code::PrivacyPurge, error.to_string()),
        }
    }
}

/// Conducts erasures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Conduct {
    eraser: Eraser,
    scan: Scan,
    store: Store,
    config: Config,
    publisher: Option<(Publisher, Topology)>,
    log: Option<AuditLog>,
    purge: Option<PurgeHook>,
    actor: String,
}

impl Conduct {
    /// In this store, for an actor whom the audit log names. Without a publisher nobody is told, and certificates say so.
    ///
    /// # Errors
    /// [`NoteError`] where the key of the audit log is none.
    pub fn new(
        config: &Config,
        store: &Store,
        publisher: Option<(Publisher, Topology)>,
        actor: &str,
    ) -> Result<Self, NoteError> {
        Ok(Self {
            eraser: Eraser::new(config, store),
            scan: Scan::new(store.clone(), ContactKey::new(&config.privacy)),
            store: store.clone(),
            log: AuditLog::new(&config.privacy, store)?,
            purge: PurgeHook::new(&config.privacy),
            config: config.clone(),
            publisher,
            actor: actor.to_owned(),
        })
    }

    /// What it erases with.
    #[must_use]
    pub const fn eraser(&self) -> &Eraser {
        &self.eraser
    }

    /// Where it looks for media.
    #[must_use]
    pub const fn scan(&self) -> &Scan {
        &self.scan
    }

    /// Where it erases.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What it goes by.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Writes the erasure and its mark, or finds one of this number that was begun. Nothing where it is done already.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn begin(&self, request: Request) -> Result<Option<Erasure>, ConductError> {
        if self.eraser.certificate(&request.tenant, &request.number).await?.is_some() {
            return Ok(None);
        }
        let erasure = self.eraser.begin(request).await?;
        self.note_erasure(Action::EraseBegun, &erasure).await?;
        Ok(Some(erasure))
    }

    /// Finds and erases the media, has caches forget them, and tells others. The tombstones are in the store when this returns. What is left is
    /// [`Conduct::certify`].
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn carry_out(&self, erasure: &mut Erasure) -> Result<crate::privacy::Wiped, ConductError> {
        self.eraser.plan(erasure, &self.scan).await?;
        let residues = residue::residues(&self.config, Timestamp::now());
        let done = self.eraser.carry_out(erasure, &residues).await?;
        if let Some(purge) = &self.purge {
            // Nothing can come into a cache again: the objects are gone.
            let media: Vec<&str> =
                done.tombstones.iter().map(|tombstone| tombstone.erased().media_id.as_str()).collect();
            let whose = (erasure.tenant.as_str(), erasure.number.as_str());
            purge.forget(&self.store, whose, &media).await.map_err(ConductError::Cached)?;
        }
        for tombstone in &done.tombstones {
            self.tell(tombstone).await?;
        }
        Ok(done.wiped)
    }

    /// Throws away what waits in the worker's dead-letter queue and would bring an erased media back, and writes the certificate.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn certify(&self, erasure: Erasure, wiped: crate::privacy::Wiped) -> Result<Certificate, ConductError> {
        let mut residues = residue::residues(&self.config, Timestamp::now());
        let dead_letters = if self.publisher.is_none() {
            residues.extend([residue::untold(), residue::dead_letters()]);
            0
        } else {
            letters::discard(&self.config, &erasure, self.eraser.key()).await?
        };
        self.note_erasure(Action::EraseDone, &erasure).await?;
        Ok(self.eraser.certify(erasure, wiped, dead_letters, residues).await?)
    }

    /// Finishes erasures that were begun an hour ago or longer: whoever began them does not live any more.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn finish_begun(&self) -> Result<(), ConductError> {
        for mut erasure in self.eraser.begun().await? {
            let age = Timestamp::now().duration_since(erasure.requested_at);
            if age.as_secs() >= ABANDONED_S {
                let wiped = self.carry_out(&mut erasure).await?;
                self.certify(erasure, wiped).await?;
            }
        }
        Ok(())
    }

    /// What is held of somebody. The audit log notes that it was asked for; without an index of it, all of it is read.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn subject(
        &self,
        index: Option<&dyn AuditIndex>,
        tenant: &str,
        selector: &Selector,
    ) -> Result<Subject, ConductError> {
        let found = subject(&self.store, &self.eraser, index, tenant, selector).await?;
        self.note(Action::Subject, tenant, |entry| entry.contact.clone_from(&found.known_as)).await?;
        Ok(found)
    }

    /// Adds an entry to the audit log, where there is one.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn note(&self, action: Action, tenant: &str, edit: impl FnOnce(&mut Entry)) -> Result<(), ConductError> {
        let Some(log) = &self.log else { return Ok(()) };
        let mut entry = Entry::now(&self.actor, action, tenant);
        edit(&mut entry);
        Ok(log.append(&[entry]).await?)
    }

    /// Signs the audit log as it is now, where there is one.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn checkpoint(&self) -> Result<(), ConductError> {
        if let Some(log) = &self.log {
            log.checkpoint().await?;
        }
        Ok(())
    }

    async fn note_erasure(&self, action: Action, erasure: &Erasure) -> Result<(), ConductError> {
        let known_as = erasure.selector.known_as().to_vec();
        let number = erasure.number.clone();
        self.note(action, &erasure.tenant, |entry| {
            entry.contact = known_as;
            entry.about = Some(number);
        })
        .await
    }

    /// Tells others of one media, until the broker has confirmed it.
    ///
    /// # Errors
    /// [`ConductError`]
    pub async fn tell(&self, tombstone: &Tombstone) -> Result<(), ConductError> {
        let Some((publisher, topology)) = &self.publisher else { return Ok(()) };
        let message = Message::event(topology, ERASED_KEY, &tombstone.event(&self.config.worker.event_source));
        match timeout(TELL, publisher.publish(&message)).await {
            // Nobody wants to know.
            Ok(Ok(()) | Err(BrokerError::Unroutable { .. })) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => Err(ConductError::Untold),
        }
    }
}
