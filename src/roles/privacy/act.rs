//! Does what an event says. Each may come again, and then changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::role::{Asked, PrivacyRole, invalid};
use crate::error::Fault;
use crate::events::{Consent, ConsentStatus, Erase, ErasedBecause, Event, Hold, Revoked};
use crate::privacy::audit::Action;
use crate::privacy::{Decision, Find, HoldState, Place, Record, Records, Request, Selector};

/// The purpose whose withdrawal erases everything.
const STORE: &str = "store";

impl PrivacyRole {
    /// Does what an event says.
    pub(super) async fn act(&self, event: &Event, asked: &Asked) -> Result<(), Fault> {
        match asked {
            Asked::Consent(consent) => self.consent(event, consent).await,
            Asked::Erase(erase) => self.erase(event, erase).await,
            Asked::Hold(hold) => self.hold(event, hold).await,
            Asked::Revoked(revoked) => self.revoked(event, revoked).await,
        }
    }

    async fn consent(&self, event: &Event, consent: &Consent) -> Result<(), Fault> {
        let Consent { tenant, contact, purposes, status, decided_at, evidence } = consent;
        let selector = self.selector(tenant, None, Some(contact.clone()), None)?;
        let decided_at: Timestamp = decided_at.parse().map_err(|_| invalid("decided_at is no time (RFC 3339)"))?;
        let decision = Decision { status: *status, decided_at, evidence: evidence.clone() };
        let consents: BTreeMap<_, _> = purposes.iter().map(|purpose| (purpose.clone(), decision.clone())).collect();
        let change = Record { consents, ..Record::default() };
        let known = self.records().join_person(tenant, selector.known_as(), &change).await?;
        self.conduct
            .note(Action::Consent, tenant, |entry| {
                entry.contact = selector.known_as().to_vec();
                entry.about = Some(event.id.clone());
            })
            .await?;
        // Where a later decision is known, that one counts.
        let is_latest = known.consents.get(STORE).is_some_and(|latest| *latest == decision);
        if is_latest && *status != ConsentStatus::Granted {
            let request = Request {
                number: event.id.clone(),
                tenant: tenant.clone(),
                selector,
                because: ErasedBecause::Consent,
                reason: None,
                erased_at: decided_at,
            };
            self.conduct_erasure(request).await?;
        }
        Ok(())
    }

    async fn erase(&self, event: &Event, erase: &Erase) -> Result<(), Fault> {
        let Erase { tenant, media_id, contact, conversation_id, erased_at, reason } = erase;
        let selector = self.selector(tenant, media_id.clone(), contact.clone(), conversation_id.clone())?;
        let erased_at = time(erased_at.as_deref(), event, "erased_at")?;
        let request = Request {
            number: event.id.clone(),
            tenant: tenant.clone(),
            selector,
            because: ErasedBecause::Request,
            reason: reason.clone(),
            erased_at,
        };
        self.conduct_erasure(request).await
    }

    async fn revoked(&self, event: &Event, revoked: &Revoked) -> Result<(), Fault> {
        let Revoked { tenant, media_id, .. } = revoked;
        if !self.policy.of(tenant).revoke_erases {
            return Ok(());
        }
        let request = Request {
            number: event.id.clone(),
            tenant: tenant.clone(),
            selector: self.selector(tenant, Some(media_id.clone()), None, None)?,
            because: ErasedBecause::Revoked,
            reason: None,
            erased_at: time(revoked.revoked_at.as_deref(), event, "revoked_at")?,
        };
        self.conduct_erasure(request).await
    }

    async fn hold(&self, event: &Event, hold: &Hold) -> Result<(), Fault> {
        let Hold { tenant, case_id, held, media_id, contact, conversation_id, decided_at } = hold;
        let selector = self.selector(tenant, media_id.clone(), contact.clone(), conversation_id.clone())?;
        let decided_at = time(decided_at.as_deref(), event, "decided_at")?;
        let state = HoldState { held: *held, decided_at };
        let change = Record { holds: BTreeMap::from([(case_id.clone(), state)]), ..Record::default() };
        let known = self.records().join_selected(tenant, &selector, &change).await?;
        let action = if *held { Action::HoldSet } else { Action::HoldLifted };
        self.conduct
            .note(action, tenant, |entry| {
                entry.contact = selector.known_as().to_vec();
                entry.media_id.clone_from(media_id);
                entry.about = Some(case_id.clone());
            })
            .await?;
        if known.held_for().next().is_some() {
            return Ok(());
        }
        // What an erasure had refused for this case is due now.
        let Some(erased_at) = self.pending(tenant, &selector, &known).await? else { return Ok(()) };
        let (number, because) = (event.id.clone(), ErasedBecause::Request);
        let request = Request { number, tenant: tenant.clone(), selector, because, reason: None, erased_at };
        self.conduct_erasure(request).await
    }

    /// Up to when an erasure covers what was held until now, where one does.
    async fn pending(&self, tenant: &str, selector: &Selector, known: &Record) -> Result<Option<Timestamp>, Fault> {
        let Selector::Media { media_id } = selector else { return Ok(known.erased.as_ref().map(|mark| mark.at)) };
        let found = self.conduct.scan().find(tenant, selector, Timestamp::now()).await?;
        let Some(sender) = found.media.get(media_id) else { return Ok(None) };
        let contacts = sender.contacts().map(Place::Contact);
        for place in contacts.chain(sender.conversation.iter().map(Place::Conversation)) {
            if let Some(mark) = self.records().read(tenant, place).await?.and_then(|record| record.erased) {
                return Ok(Some(mark.at));
            }
        }
        Ok(None)
    }

    async fn conduct_erasure(&self, request: Request) -> Result<(), Fault> {
        let Some(mut erasure) = self.conduct.begin(request).await? else { return Ok(()) };
        let wiped = self.conduct.carry_out(&mut erasure).await?;
        let certificate = self.conduct.certify(erasure, wiped).await?;
        let (tenant, number) = (&certificate.tenant, &certificate.number);
        let (media, refused) = (certificate.media, certificate.refused.len());
        tracing::info!(tenant, number, media, refused, "an erasure is done");
        Ok(self.conduct.checkpoint().await?)
    }

    fn selector(
        &self,
        tenant: &str,
        media_id: Option<String>,
        contact: Option<crate::events::ContactIds>,
        conversation_id: Option<String>,
    ) -> Result<Selector, Fault> {
        let tenant = tenant.to_owned();
        let erase = Erase { tenant, media_id, contact, conversation_id, erased_at: None, reason: None };
        self.conduct.eraser().selector(&erase).map_err(|error| invalid(&error.to_string()))
    }

    const fn records(&self) -> &Records {
        self.conduct.eraser().records()
    }
}

/// The time that an event gives, else its own.
fn time(given: Option<&str>, event: &Event, name: &str) -> Result<Timestamp, Fault> {
    match given {
        Some(text) => text.parse().map_err(|_| invalid(&format!("{name} is no time (RFC 3339)"))),
        None => event.timestamp().ok_or_else(|| invalid(&format!("neither {name} nor the event's time is there"))),
    }
}
