//! Scratch space of a job while its original is downloaded.

use std::fs;
use std::time::Duration;

use super::{Scratch, TIMES_ORIGINAL};
use crate::error::Fault;
use crate::events::Stage;
use crate::runtime::{At, Failure};
use crate::task::INPUT;

/// How often a download is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How far a promise is ahead of a download whose size was not declared.
const AHEAD_BYTES: u64 = 32 << 20;

impl Scratch {
    /// Waits for a download into [`INPUT`] and promises it more scratch space as it grows beyond what was declared.
    ///
    /// # Errors
    /// Those of the download; [`Fault::NoRoom`] where running jobs leave too little, and
    /// [`LimitScratch`](crate::error::Code::LimitScratch) where the file alone is too large.
    pub(in crate::roles::worker) async fn fetches<T>(
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
    fn grow(&self) -> Result<(), Fault> {
        let dir = self.dir.path();
        let known = fs::metadata(dir.join(INPUT)).map_or(0, |meta| meta.len());
        let mut promised = self.owned.promised();
        if known.saturating_mul(TIMES_ORIGINAL) > promised.get(dir).copied().unwrap_or(0) {
            let promise = self.owned.promise(&promised, Some(dir), known, known.saturating_add(AHEAD_BYTES));
            let promise = promise.map_err(|error| match Fault::from(error) {
                Fault::NoRoom { message } => self.no_room(message),
                fault => fault,
            })?;
            promised.insert(dir.to_owned(), promise);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Workspace;
    use super::super::tests::{MIB, room};
    use super::*;
    use crate::error::Code;

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
            let is_no_attempt = matches!(failure.fault, Fault::NoRoom { .. });
            assert_eq!(is_no_attempt, code == Code::WorkerScratch, "{:?}", failure.fault);
        }
        drop(second);
        assert!(workspace.full_until().is_some(), "the end of a job without room makes none for the next one like it");
        drop(first);
        assert!(workspace.full_until().is_none());
    }
}
