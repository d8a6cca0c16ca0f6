//! One file to be processed, and the settings of its run.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::outcome::About;
use crate::broker::Tries;
use crate::config::LoadedProfile;
use crate::error::{Code, Fault};
use crate::events::{Received, Stage};
use crate::privacy::Permit;
use crate::roles::lanes::Lane;
use crate::runtime::{At, Failure, Lease};
use crate::store::Folder;

pub(super) use crate::events::MAX_ID_BYTES;

/// One file to be processed.
#[derive(Debug, Clone)]
pub struct Job {
    /// `id` of the event that asked for it.
    pub cause: String,
    /// Its `time`.
    pub asked_at: Option<Timestamp>,
    /// Its data.
    pub received: Received,
    /// A file that the person at the keyboard named: it is taken instead of the event's origin.
    pub local: Option<PathBuf>,
    /// Whether to do the work whatever a manifest says, and to put the result in the place of all that was there.
    pub again: bool,
    /// How often it was tried before.
    pub tries: Tries,
    /// Whether a fault for which the file may be to blame ends it: it had its second try, or there is none.
    pub suspect_ends: bool,
    /// Added to the child's nice value.
    pub nice: i32,
    /// The lane that it came through; none where there is no broker.
    pub lane: Option<Lane>,
    /// When its work has to have ended, where the broker waits for an acknowledgement.
    pub deadline: Option<Instant>,
    /// Its slot, which it gives back while its origin keeps it waiting.
    pub lease: Option<Arc<Lease>>,
}

impl Job {
    /// A job as an event asks for it.
    #[must_use]
    pub const fn new(cause: String, asked_at: Option<Timestamp>, received: Received, nice: i32) -> Self {
        Self {
            cause,
            asked_at,
            received,
            local: None,
            again: false,
            tries: Tries { attempts: 0, suspicions: 0 },
            suspect_ends: false,
            nice,
            lane: None,
            deadline: None,
            lease: None,
        }
    }

    /// Whether this fault is the end of the job, for a reason that is the file's.
    pub(super) const fn is_rejected_by(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Rejected { .. } => true,
            Fault::Suspect { .. } => self.suspect_ends,
            Fault::Transient { .. }
            | Fault::Broken { .. }
            | Fault::NoRoom { .. }
            | Fault::Paused { .. }
            | Fault::Shutdown => false,
        }
    }
}

/// What one run has to go by.
pub(super) struct Brief<'a> {
    pub(super) job: &'a Job,
    pub(super) profile: LoadedProfile,
    pub(super) folder: Folder,
    /// What may be stored.
    pub(super) permit: Permit,
    /// Every step has its own timeouts; this is the one above them, so that a job never outlives its delivery.
    pub(super) deadline: Instant,
}

impl Brief<'_> {
    /// What the ids of its outcomes are made of.
    pub(super) fn about(&self) -> About<'_> {
        let Received { tenant, media_id, .. } = &self.job.received;
        About { tenant, media_id, profile_version: &self.profile.version, cause: &self.job.cause }
    }

    /// A step's result, unless the job's time is over before.
    pub(super) async fn within<T, E: Into<Fault>>(
        &self,
        stage: Stage,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        match timeout_at(self.deadline, step).await {
            Ok(result) => result.at(stage),
            Err(_elapsed) => Err(Failure { stage, fault: too_slow(stage) }),
        }
    }
}

fn too_slow(stage: Stage) -> Fault {
    let message = format!("the {} step exceeded the deadline of the job", stage.as_str());
    match stage {
        Stage::Fetch => Fault::transient(Code::SourceTimeout, message),
        Stage::Transcode => Fault::suspect(Code::LimitTime, message),
        Stage::Parse | Stage::Store | Stage::Publish => Fault::transient(Code::StoreUnavailable, message),
    }
}
