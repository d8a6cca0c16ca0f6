//! Delivers one event to one destination: goes through the plan, with the ledger.

use std::time::Duration;

use jiff::Timestamp;

use super::destination::{Applied, Class, Failed, Ids, ReadBack, Repetition, Residue, Step, Work};
use super::ledger::{Ledger, LedgerError, MediaKey, Row, RowState, StepKey};
use super::site::Site;
use super::subject::{Subject, Word};
use crate::error::Code;
use crate::events::Event;
use crate::links::Links;
use crate::privacy::residue;
use crate::store::Store;

/// A claim lasts for so many times the longest request; it is renewed before each step.
const CLAIM_REQUESTS: i64 = 4;

/// What deliveries need.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) ledger: Ledger,
    pub(super) links: Option<Links>,
    pub(super) store: Option<Store>,
    /// Stands for this process in claims.
    pub(super) owner: String,
}

/// How a delivery ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    /// It had been delivered before.
    Known,
    /// The map does not want it.
    Unwanted,
    /// The media was erased.
    Erased,
}

/// Why a delivery did not end.
#[derive(Debug)]
pub(super) enum Halt {
    /// Another delivery of the same media is at work.
    Busy,
    /// What was begun cannot be read back before so long.
    TooEarly(Duration),
    Failed(Failed),
    Ledger(LedgerError),
}

impl From<LedgerError> for Halt {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Failed> for Halt {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl Engine {
    /// Delivers an event. Handling it twice is the same as handling it once.
    pub(super) async fn deliver(&self, site: &Site, event: &Event, subject: &Subject) -> Result<Ended, Halt> {
        let media = media(site, subject);
        let what = format!("media {} {}/{}", subject.tenant.len(), subject.tenant, subject.media_id);
        let Some(_alone) = site.gate.try_alone_with(&what) else { return Err(Halt::Busy) };
        if self.ledger.is_delivered(&site.name, &subject.event_id).await? {
            return Ok(Ended::Known);
        }
        if !self.claim(site, &what).await? {
            return Err(Halt::Busy);
        }
        let ended = Box::pin(self.claimed(site, event, subject, (media, &what))).await;
        // Where that fails, the claim ends by itself.
        if let Err(error) = self.ledger.release(&site.name, &what, &self.owner).await {
            tracing::warn!(destination = site.name, %error, "a claim is not given back: it ends by itself");
        }
        ended
    }

    async fn claimed(
        &self,
        site: &Site,
        event: &Event,
        subject: &Subject,
        (media, what): (MediaKey<'_>, &str),
    ) -> Result<Ended, Halt> {
        let is_about_media = !matches!(subject.word, Word::Erased | Word::Alert);
        if is_about_media && (self.ledger.is_erased(media).await? || self.is_erased_in_store(subject).await?) {
            return Ok(Ended::Erased);
        }
        if subject.word == Word::Erased {
            self.erase(site, media, event).await?;
        }
        let is_wanted =
            site.outcomes().contains(&subject.word) && !(subject.word == Word::Erased && site.map.is_some());
        let links = self.links.as_ref();
        let amendment = if is_wanted { site.amendment(event, subject, links)? } else { None };
        let ended = if let Some(amendment) = &amendment {
            self.amend(site, subject, amendment, media).await?
        } else if is_wanted && let Some(work) = &site.work(event, subject, links)? {
            self.steps(site, work, (media, what)).await?;
            Ended::Delivered
        } else {
            Ended::Unwanted
        };
        let time_s = subject.time.map_or(0, Timestamp::as_second);
        self.ledger.delivered(media, &subject.event_id, time_s, now_s()).await?;
        Ok(ended)
    }

    /// Goes through the steps that are not done.
    async fn steps(&self, site: &Site, work: &Work<'_>, (media, what): (MediaKey<'_>, &str)) -> Result<(), Halt> {
        let plan = site.destination.plan(work)?;
        // One delivery at a time changes a record: CRMs lock rows, and lose updates.
        let record = work.prepared.as_ref().and_then(|prepared| prepared.matches.first());
        let record = record.map(|found| format!("record {}", found.value));
        let _alone = match &record {
            Some(record) => Some(site.gate.alone_with(record).await),
            None => None,
        };
        let (scope, revision) = (work.subject.scope(), work.subject.revision);
        let rows = self.ledger.steps(media).await?;
        let rows: Vec<&Row> = rows.iter().filter(|row| row.revision == revision).collect();
        let mut ids = Ids::default();
        for row in &rows {
            if let (RowState::Done(id), Some(record)) = (&row.state, row.record.strip_prefix(scope)) {
                ids.put(record, &row.step, id);
            }
        }
        for step in &plan {
            let record = format!("{scope}{}", step.record);
            let row = rows.iter().find(|row| row.record == record && row.step == step.name);
            if row.is_some_and(|row| matches!(row.state, RowState::Done(_))) {
                continue;
            }
            // The wait for the record, and the steps before, may have taken long.
            if !self.claim(site, what).await? {
                return Err(Halt::Busy);
            }
            let key = StepKey { media, revision, record: &record, step: step.name };
            let one = One { site, work, step, key, begun_at_s: row.map(|row| row.at_s) };
            if !self.step(&one, &mut ids).await? {
                break;
            }
        }
        Ok(())
    }

    /// Does a step. Whether the plan goes on.
    async fn step(&self, one: &One<'_>, ids: &mut Ids) -> Result<bool, Halt> {
        let One { site, work, step, key, begun_at_s } = *one;
        let event_id = &work.subject.event_id;
        let doubles = step.repetition == Repetition::Doubles;
        if doubles && let Some(begun_at_s) = begun_at_s {
            let lag_s = i64::try_from(site.config.read_back_lag_s).unwrap_or(i64::MAX);
            let wait_s = begun_at_s.saturating_add(lag_s).saturating_sub(now_s());
            if wait_s > 0 {
                return Err(Halt::TooEarly(Duration::from_secs(wait_s.unsigned_abs())));
            }
            let found = site.destination.read_back(step, work, ids).await?;
            tracing::info!(
                destination = site.name,
                step = step.name,
                ?found,
                "a step whose end was not known is read back"
            );
            if let ReadBack::Found(id) = found {
                self.ledger.done(key, event_id, &id, now_s()).await?;
                ids.put(&step.record, step.name, &id);
                return Ok(true);
            }
        }
        if doubles {
            self.ledger.begin(key, event_id, now_s()).await?;
        }
        match site.destination.apply(step, work, ids).await {
            Ok(Applied::Done(id)) => {
                if doubles || !id.is_empty() {
                    self.ledger.done(key, event_id, &id, now_s()).await?;
                }
                ids.put(&step.record, step.name, &id);
                Ok(true)
            }
            Ok(Applied::Nothing) => self.not_done(doubles, key).await.map(|()| true),
            Ok(Applied::EndsHere) => self.not_done(doubles, key).await.map(|()| false),
            Err(failed) => {
                if !failed.is_unknown {
                    self.not_done(doubles, key).await?;
                }
                if failed.class == Class::Stale {
                    self.forget_found(one).await?;
                }
                Err(failed.into())
            }
        }
    }

    async fn not_done(&self, doubles: bool, key: StepKey<'_>) -> Result<(), Halt> {
        if doubles {
            self.ledger.forget(key).await?;
        }
        Ok(())
    }

    /// Forgets what was looked up for this outcome.
    async fn forget_found(&self, one: &One<'_>) -> Result<(), Halt> {
        for row in self.ledger.steps(one.key.media).await? {
            if row.revision == one.key.revision && row.step == "find" {
                self.ledger.forget(StepKey { record: &row.record, step: &row.step, ..one.key }).await?;
            }
        }
        Ok(())
    }

    /// Removes what is there of a media. Before that it is noted that nothing more may come.
    async fn erase(&self, site: &Site, media: MediaKey<'_>, event: &Event) -> Result<(), Halt> {
        self.ledger.bar(media, now_s()).await?;
        let rows = self.ledger.steps(media).await?;
        let lag_s = i64::try_from(site.config.read_back_lag_s).unwrap_or(i64::MAX);
        let begun = rows.iter().filter(|row| row.state == RowState::Begun);
        let wait_s = begun.map(|row| row.at_s.saturating_add(lag_s).saturating_sub(now_s())).max().unwrap_or(0);
        if wait_s > 0 {
            return Err(Halt::TooEarly(Duration::from_secs(wait_s.unsigned_abs())));
        }
        if !rows.is_empty() {
            for residue in site.destination.erase(media, &rows).await? {
                let (what, days) = (&residue.what, residue.days);
                tracing::info!(
                    destination = site.name,
                    what,
                    days,
                    "the destination keeps something of an erased media"
                );
                self.certify(site, media, event, &residue).await?;
            }
        }
        self.ledger.drop_media(media).await?;
        Ok(())
    }

    /// Adds to the certificate of the erasure what a destination still has.
    async fn certify(&self, site: &Site, media: MediaKey<'_>, event: &Event, residue: &Residue) -> Result<(), Halt> {
        let number = event.data.get("certificate").and_then(serde_json::Value::as_str);
        let (Some(store), Some(number)) = (&self.store, number) else { return Ok(()) };
        let left = residue::at_destination(&site.name, residue.days, Timestamp::now());
        let told = residue::tell(store, media.tenant, number, &left).await;
        told.map_err(|error| Failed::transient(Code::StoreUnavailable, error.to_string()).into())
    }

    /// Whether a tombstone stands in the place of the media's manifest: also where the ledger was lost.
    async fn is_erased_in_store(&self, subject: &Subject) -> Result<bool, Halt> {
        let Some(store) = &self.store else { return Ok(false) };
        let key = store.folder(&subject.tenant, &subject.media_id).manifest();
        match store.get(&key).await {
            Ok(None) => Ok(false),
            Ok(Some(bytes)) => {
                let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
                Ok(manifest.get("state").is_some_and(|state| state == "erased"))
            }
            Err(error) => Err(Failed::transient(Code::StoreUnavailable, error.to_string()).into()),
        }
    }

    async fn claim(&self, site: &Site, what: &str) -> Result<bool, LedgerError> {
        let now_s = now_s();
        let timeout_s = i64::try_from(site.config.timeout_s).unwrap_or(i64::MAX);
        let until_s = now_s.saturating_add(timeout_s.saturating_mul(CLAIM_REQUESTS));
        self.ledger.claim(&site.name, what, &self.owner, (now_s, until_s)).await
    }
}

/// One step of one delivery.
#[derive(Clone, Copy)]
struct One<'a> {
    site: &'a Site,
    work: &'a Work<'a>,
    step: &'a Step,
    key: StepKey<'a>,
    /// When it began, where it began before.
    begun_at_s: Option<i64>,
}

/// The media of an event at a destination.
pub(super) fn media<'a>(site: &'a Site, subject: &'a Subject) -> MediaKey<'a> {
    MediaKey { destination: &site.name, tenant: &subject.tenant, media_id: &subject.media_id }
}

/// Now, in seconds of Unix time.
pub(super) fn now_s() -> i64 {
    Timestamp::now().as_second()
}
