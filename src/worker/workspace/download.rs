//! Scratch space of a job while its original is downloaded, and whose fault it is where there is not enough.

use std::fs;
use std::time::Duration;

use super::super::outcome::{At, Failure};
use super::{Scratch, TIMES_ORIGINAL, WorkspaceError, written};
use crate::error::{Code, Fault};
use crate::events::Stage;
use crate::sandbox::protocol::INPUT;

/// How often a download is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How far a promise is ahead of a download whose size nobody has declared.
const AHEAD_BYTES: u64 = 32 << 20;

impl Scratch {
    /// Most bytes that an original can have here, also where no other job runs.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`]
    pub(in crate::worker) fn most_bytes(&self) -> Result<u64, WorkspaceError> {
        self.owned.usable_bytes()
    }

    /// Waits for a download into [`INPUT`] and promises it more scratch space as it grows beyond what was declared.
    ///
    /// # Errors
    /// Those of the download; [`Code::WorkerScratch`] where running jobs leave too little, and [`Code::LimitScratch`] where
    /// the file alone is too large.
    pub(in crate::worker) async fn fetches<T>(
        &self,
        download: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        // The first one is at once, when there is nothing to see yet.
        ticks.reset();
        tokio::pin!(download);
        let ended = loop {
            tokio::select! {
                biased;
                done = &mut download => break done,
                _ = ticks.tick() => if let Err(failure) = self.grow().at(Stage::Fetch) { break Err(failure) },
            }
        };
        ended.map_err(|failure| self.blame(failure))
    }

    /// Promises more where the original has outgrown what was promised.
    fn grow(&self) -> Result<(), WorkspaceError> {
        let dir = self.dir.path();
        let known = fs::metadata(dir.join(INPUT)).map_or(0, |meta| meta.len());
        let mut promised = self.owned.promised();
        if known.saturating_mul(TIMES_ORIGINAL) > promised.get(dir).copied().unwrap_or(0) {
            let promise = self.owned.promise(&promised, Some(dir), known, known.saturating_add(AHEAD_BYTES))?;
            promised.insert(dir.to_owned(), promise);
        }
        Ok(())
    }

    /// Where scratch space was full and this job alone had taken nearly all of it, the file is to blame and not the machine.
    pub(in crate::worker) fn blame(&self, failure: Failure) -> Failure {
        let full = matches!(&failure.fault, Fault::Transient { code: Code::WorkerScratch, .. });
        let own = written(self.dir.path());
        match self.owned.usable_bytes() {
            Ok(usable_bytes) if full && own >= usable_bytes - usable_bytes / 16 => {
                let message = format!("the job took {own} bytes of scratch space, of {usable_bytes} that there are");
                Failure { stage: failure.stage, fault: Fault::rejected(Code::LimitScratch, message) }
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Workspace;
    use super::super::tests::{MIB, fill, room};
    use super::*;

    fn full() -> Failure {
        Failure { stage: Stage::Transcode, fault: Fault::transient(Code::WorkerScratch, "no space left") }
    }

    #[tokio::test]
    async fn a_download_of_unknown_size_is_promised_what_it_has_grown_to() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), room(0, 640 * MIB)).expect("open");
        let (first, second) = (workspace.claim(0).expect("fits"), workspace.claim(0).expect("fits"));
        let grow_to = |job: &Scratch, bytes| fs::File::create(job.path().join(INPUT)).expect("made").set_len(bytes);
        first
            .fetches(async {
                grow_to(&first, 100 * MIB).expect("sized");
                while workspace.claim(90 * MIB).is_ok() {
                    tokio::task::yield_now().await;
                }
                Ok(())
            })
            .await
            .expect("there is room for it");

        for (bytes, code) in [(200 * MIB, Code::WorkerScratch), (641 * MIB, Code::LimitScratch)] {
            grow_to(&second, bytes).expect("sized");
            let failure = second.fetches(std::future::pending::<Result<(), Failure>>()).await.expect_err("too much");
            assert_eq!((failure.stage, failure.fault.code()), (Stage::Fetch, Some(code)));
        }
    }

    #[test]
    fn a_job_that_filled_the_scratch_space_alone_is_rejected_and_one_among_others_is_not() {
        let base = tempfile::tempdir().expect("base");
        let workspace = Workspace::open(base.path(), room(4 * MIB, 36 * MIB)).expect("open");
        let job = workspace.claim(MIB).expect("fits");
        fill(&job, 20 * MIB);
        assert_eq!(job.blame(full()).fault.code(), Some(Code::WorkerScratch));
        fill(&job, 31 * MIB);
        assert!(matches!(job.blame(full()).fault, Fault::Rejected { code: Code::LimitScratch, .. }));
        let other = Failure { stage: Stage::Fetch, fault: Fault::transient(Code::SourceTimeout, "slow") };
        assert_eq!(job.blame(other).fault.code(), Some(Code::SourceTimeout));
    }
}
