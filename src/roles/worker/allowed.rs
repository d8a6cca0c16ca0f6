//! Whether a media may be stored: asked before anything is fetched, and once more when it was.

use super::job::Brief;
use super::pipeline::Pipeline;
use crate::events::{Erased, ErasedBecause, Stage};
use crate::privacy::{ErasureMark, Refusal, wipe};
use crate::runtime::{At, Failure};

impl Pipeline {
    /// Refuses a media that was erased, or whose sender was. Of a person's own folder of results nobody is asked.
    pub(super) async fn not_erased(&self, brief: &Brief<'_>) -> Result<(), Failure> {
        match self.mark(brief).await? {
            Some(_) => Err(Failure { stage: Stage::Parse, fault: Refusal::Erased.into() }),
            None => Ok(()),
        }
    }

    /// Goes on with what may be stored by the consent and the retention that are known.
    pub(super) async fn permitted<'a>(&self, brief: Brief<'a>) -> Result<Brief<'a>, Failure> {
        let job = brief.job;
        if job.again {
            return Ok(brief);
        }
        let days = brief.profile.raw.retention_days;
        let asked = self.guard().permit(&job.received, job.asked_at, days);
        let permit = brief.within(Stage::Store, asked).await?.at(Stage::Parse)?;
        let mut brief = Brief { permit, ..brief };
        // The version of the profile stays: it is the profile that was asked for.
        brief.profile.raw.keep_original &= permit.keep_original;
        Ok(brief)
    }

    /// After an outcome was stored: where an erasure covers it by now, all of it is removed again.
    pub(super) async fn still_allowed(&self, brief: &Brief<'_>) -> Result<(), Failure> {
        let Some(ErasureMark { certificate, at }) = self.mark(brief).await? else { return Ok(()) };
        let received = &brief.job.received;
        let erased = Erased {
            tenant: received.tenant.clone(),
            media_id: received.media_id.clone(),
            certificate,
            because: ErasedBecause::Request,
            erased_at: at.to_string(),
            residues: Vec::new(),
        };
        brief.within(Stage::Store, wipe(self.store(), erased)).await?;
        Err(Failure { stage: Stage::Store, fault: Refusal::Erased.into() })
    }

    async fn mark(&self, brief: &Brief<'_>) -> Result<Option<ErasureMark>, Failure> {
        let job = brief.job;
        if job.again {
            return Ok(None);
        }
        brief.within(Stage::Store, self.guard().erased(&job.received, job.asked_at)).await
    }
}
