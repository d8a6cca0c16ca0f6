//! Where the bytes of a job come from: the origin that its event names, or the original that the store keeps.

use std::path::Path;

use super::answer::{KeptBytes, Seen};
use super::job::Brief;
use super::pipeline::Pipeline;
use super::scratch::Scratch;
use crate::error::{Code, Fault};
use crate::events::{Received, Stage};
use crate::runtime::{At, Failure};
use crate::source::Fetched;
use crate::store::StoreError;
use crate::task::INPUT;

impl Pipeline {
    /// The bytes of the media in the scratch directory: those that are kept where it is to be normalized again, and otherwise
    /// those of the origin. A rejected media whose origin is gone, as a channel's is after some days, is tried again with
    /// what is kept of it.
    pub(super) async fn fetch(&self, brief: &Brief<'_>, seen: &Seen, scratch: &Scratch) -> Result<Fetched, Failure> {
        let (most, dest) = (self.workspace().most_bytes().at(Stage::Fetch)?, scratch.path().join(INPUT));
        let limit = self.limits().input_bytes.min(most);
        let fetched = scratch.fetches(Box::pin(self.fetch_up_to(limit, brief, seen, &dest))).await;
        fetched.map_err(|failure| match failure.fault {
            Fault::Rejected { code: Code::LimitBytes, message } if limit < self.limits().input_bytes => {
                Failure { stage: failure.stage, fault: Fault::rejected(Code::LimitScratch, message) }
            }
            fault => Failure { fault, ..failure },
        })
    }

    async fn fetch_up_to(&self, limit: u64, brief: &Brief<'_>, seen: &Seen, dest: &Path) -> Result<Fetched, Failure> {
        let received = &brief.job.received;
        let kept = seen.original().filter(|kept| kept.fits(received.declared.as_ref()));
        let Some(kept) = kept else { return self.fetch_origin(limit, brief, dest).await };
        if seen.normalized().is_some() || received.renormalize {
            return match self.fetch_kept(limit, brief, &kept, dest).await? {
                Some(fetched) => Ok(fetched),
                None => self.fetch_origin(limit, brief, dest).await,
            };
        }
        match self.fetch_origin(limit, brief, dest).await {
            Err(failure) if matches!(failure.fault, Fault::Rejected { .. }) => {
                self.fetch_kept(limit, brief, &kept, dest).await?.ok_or(failure)
            }
            result => result,
        }
    }

    /// Nothing where the kept original is gone, or has another SHA-256 than the manifest names.
    async fn fetch_kept(
        &self,
        limit: u64,
        brief: &Brief<'_>,
        kept: &KeptBytes,
        dest: &Path,
    ) -> Result<Option<Fetched>, Failure> {
        let get = async {
            self.store().get_file(&kept.key, dest, limit).await.map_err(|error| match error {
                StoreError::TooLarge { limit_bytes } => {
                    Fault::rejected(Code::LimitBytes, format!("the kept original has more than {limit_bytes} bytes"))
                }
                error => error.into(),
            })
        };
        match brief.within(Stage::Fetch, get).await? {
            Some(got) if got.sha256 == kept.sha256 => {
                Ok(Some(Fetched { size_bytes: got.size_bytes, sha256: got.sha256 }))
            }
            Some(_) | None => {
                tracing::warn!(key = kept.key, "the kept original is missing or damaged; the origin is asked instead");
                Ok(None)
            }
        }
    }

    async fn fetch_origin(&self, limit: u64, brief: &Brief<'_>, dest: &Path) -> Result<Fetched, Failure> {
        let Received { tenant, origin, declared, .. } = &brief.job.received;
        match &brief.job.local {
            Some(path) => brief.within(Stage::Fetch, self.sources().fetch_local(path, limit, dest)).await,
            None => {
                let visit = self.endpoints().visit(tenant, origin).at(Stage::Fetch)?;
                let fetch = self.sources().fetch_by(&visit, tenant, origin, declared.as_ref(), limit, dest);
                let fetched = brief.within(Stage::Fetch, fetch).await;
                let code = fetched.as_ref().err().and_then(|failure| failure.fault.code());
                visit.ends(matches!(code, Some(Code::SourceTimeout | Code::SourceUnavailable)));
                fetched
            }
        }
    }
}
