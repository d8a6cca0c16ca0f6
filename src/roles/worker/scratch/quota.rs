//! What a child may take of the scratch space, and whether the file or the worker is the cause when that is not enough.

use std::sync::atomic::Ordering;

use super::{Scratch, WorkspaceError, written};
use crate::error::{Code, Fault};
use crate::runtime::Failure;

/// What all files of a job may take together while its child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::roles::worker) struct Quota {
    /// So many bytes.
    pub(in crate::roles::worker) bytes: u64,
    /// Whether a job that is alone on this scratch space would have more.
    is_cut: bool,
}

impl Scratch {
    /// What the child of this job may take: `limit`, or what the scratch space has left for it where that is less. Taken as
    /// it is now: jobs that are promised something later are promised nothing that is missing already.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub(in crate::roles::worker) fn quota(&self, limit: u64) -> Result<Quota, WorkspaceError> {
        let owned = &self.owned;
        let (usable_bytes, reserve_bytes) = (owned.usable_bytes()?, owned.reserve_bytes()?);
        let promised = owned.promised();
        let dir = self.dir.path();
        let kept =
            super::Owned::to_come(&promised, Some(dir)).max(reserve_bytes).saturating_add(owned.room.min_free_bytes);
        let spare = owned.free_bytes(&promised)?.saturating_sub(kept);
        let left = written(dir).saturating_add(spare);
        drop(promised);
        let most = limit.min(usable_bytes);
        Ok(Quota { bytes: most.min(left), is_cut: left < most })
    }

    /// Blames a child's failure as [`Scratch::blame`] does. A child that took more than its quota where that was cut is no
    /// proof against the file, which may have more at another time.
    pub(in crate::roles::worker) fn blame_child(&self, failure: Failure, quota: Quota) -> Failure {
        let over = failure.fault.code() == Some(Code::LimitScratch) && quota.is_cut;
        if !over || written(self.dir.path()) <= quota.bytes {
            return self.blame(failure);
        }
        let message = format!("the job took more than {} bytes of scratch space, which were left for it", quota.bytes);
        let fault =
            if self.is_alone() { Fault::transient(Code::WorkerScratch, message) } else { self.no_room(message) };
        Failure { fault, ..failure }
    }

    /// Where scratch space was full, the file is to blame if its job alone had taken nearly all of it, and else the other
    /// jobs, if there are any and so little is free as nobody may take.
    pub(in crate::roles::worker) fn blame(&self, failure: Failure) -> Failure {
        if !matches!(&failure.fault, Fault::Transient { code: Code::WorkerScratch, .. }) {
            return failure;
        }
        let owned = &self.owned;
        let own = written(self.dir.path());
        let (Ok(usable_bytes), Ok(reserve_bytes)) = (owned.usable_bytes(), owned.reserve_bytes()) else {
            return failure;
        };
        let fault = if own >= usable_bytes - usable_bytes / 16 {
            let message = format!("the job took {own} bytes of scratch space, of {usable_bytes} that there are");
            Fault::rejected(Code::LimitScratch, message)
        } else if !self.is_alone()
            && owned.free_bytes(&owned.promised()).is_ok_and(|free| free <= owned.room.min_free_bytes + reserve_bytes)
        {
            self.no_room(failure.fault.message().to_owned())
        } else {
            failure.fault
        };
        Failure { stage: failure.stage, fault }
    }

    /// This job found no room.
    pub(super) fn no_room(&self, message: String) -> Fault {
        self.was_full.store(true, Ordering::Relaxed);
        self.owned.is_full();
        Fault::NoRoom { message }
    }

    fn is_alone(&self) -> bool {
        self.owned.promised().len() <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::Workspace;
    use super::super::tests::{MIB, fill, room};
    use super::*;
    use crate::events::Stage;

    fn failure(fault: Fault) -> Failure {
        Failure { stage: Stage::Transcode, fault }
    }

    fn full() -> Failure {
        failure(Fault::transient(Code::WorkerScratch, "no space left"))
    }

    #[test]
    fn a_child_may_take_what_the_scratch_space_has_left_and_no_more_than_its_limit() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), room(4 * MIB, 100 * MIB)).expect("open");
        let job = workspace.claim(10 * MIB).expect("fits");
        // 96 MiB above the floor, of which 6 are the reserve.
        let quota = |limit| job.quota(limit).expect("measured");
        assert_eq!(quota(50 * MIB), Quota { bytes: 50 * MIB, is_cut: false });
        assert_eq!(quota(u64::MAX), Quota { bytes: 90 * MIB, is_cut: false });
        fill(&job, 10 * MIB);
        assert_eq!(quota(u64::MAX), Quota { bytes: 90 * MIB, is_cut: false }, "its own files are a part of it");
        let other = workspace.claim(20 * MIB).expect("fits");
        assert_eq!(quota(u64::MAX), Quota { bytes: 36 * MIB, is_cut: true }, "60 are promised");
        fill(&other, 20 * MIB);
        assert_eq!(quota(u64::MAX), Quota { bytes: 36 * MIB, is_cut: true }, "whether they are written or not");
        assert_eq!(quota(30 * MIB), Quota { bytes: 30 * MIB, is_cut: false });
    }

    #[test]
    fn a_quota_that_others_have_cut_is_not_held_against_the_file() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), room(4 * MIB, 100 * MIB)).expect("open");
        let job = workspace.claim(MIB).expect("fits");
        let other = workspace.claim(20 * MIB).expect("fits");
        let over = || failure(Fault::rejected(Code::LimitScratch, "too much"));
        let cut = job.quota(u64::MAX).expect("measured");
        assert!(matches!(job.blame_child(over(), cut).fault, Fault::Rejected { .. }), "it has taken no such thing");
        fill(&job, 37 * MIB);
        assert!(matches!(job.blame_child(over(), cut).fault, Fault::NoRoom { .. }));
        let whole = job.quota(30 * MIB).expect("measured");
        assert!(matches!(job.blame_child(over(), whole).fault, Fault::Rejected { .. }), "it had all that it may have");
        drop(other);
        let fault = job.blame_child(over(), cut).fault;
        assert_eq!(fault, Fault::transient(Code::WorkerScratch, fault.message()));
    }

    #[test]
    fn a_job_that_filled_the_scratch_space_alone_is_rejected_and_one_among_others_is_not() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), room(4 * MIB, 36 * MIB)).expect("open");
        let job = workspace.claim(MIB).expect("fits");
        fill(&job, 20 * MIB);
        assert_eq!(job.blame(full()).fault.code(), Some(Code::WorkerScratch));
        let other = workspace.claim(MIB).expect("fits");
        assert_eq!(job.blame(full()), full(), "there is room");
        fill(&other, 11 * MIB);
        assert!(matches!(job.blame(full()).fault, Fault::NoRoom { .. }), "others have taken it");
        drop(other);
        fill(&job, 31 * MIB);
        assert!(matches!(job.blame(full()).fault, Fault::Rejected { code: Code::LimitScratch, .. }));
        let other = failure(Fault::transient(Code::SourceTimeout, "slow"));
        assert_eq!(job.blame(other).fault.code(), Some(Code::SourceTimeout));
    }
}
