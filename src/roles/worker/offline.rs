//! Runs a job without a broker, with the worker's decisions. A second attempt follows at once instead of after a delay.

use super::job::Job;
use super::outcome::{Outcome, Subject};
use super::pipeline::Pipeline;
use crate::broker::Tries;
use crate::error::Code;
use crate::events::Stage;
use crate::runtime::{Failure, RetryDecision, decide, note};

/// One step, without a wait: a suspect file has its second try, and so has passing trouble.
const DELAYS_S: &[u64] = &[0];

impl Pipeline {
    /// Runs a job to its outcome. Dropping the future ends it as dropping [`Pipeline::run`] does.
    pub async fn run_at_once(&self, job: &Job, mut on_progress: impl FnMut(f32) + Send) -> Outcome {
        let mut tries = Tries::default();
        let mut job = job.clone();
        loop {
            job.tries = tries;
            job.suspect_ends = tries.suspicions > 0;
            let attempts = tries.attempts.saturating_add(1);
            let failure = match self.run(&job, &mut on_progress).await {
                Ok(outcome) => return outcome,
                Err(failure) => failure,
            };
            let profile_version = self.profile_version(&job.received);
            let profile_version = profile_version.as_str();
            let subject = Subject { cause: &job.cause, received: &job.received, profile_version, attempts };
            let Some(note) = note(&failure, attempts, tries.suspicions) else { return stopped(&subject, &failure) };
            match decide(&failure.fault, tries, DELAYS_S) {
                RetryDecision::Reject => return subject.rejected(failure.stage, note.code, &note.reason),
                RetryDecision::GiveUp => return subject.failed(failure.stage, note.code, &note.reason),
                RetryDecision::Requeue => return stopped(&subject, &failure),
                RetryDecision::Retry { .. } => {
                    tracing::warn!(media_id = job.received.media_id, error = %failure, "trying again");
                    tries = Tries { attempts, suspicions: note.suspicions };
                }
            }
        }
    }
}

/// There is no queue that the job could go back to.
fn stopped(subject: &Subject<'_>, failure: &Failure) -> Outcome {
    let stage: Stage = failure.stage;
    subject.failed(stage, Code::WorkerSandbox, &failure.fault.to_string())
}
