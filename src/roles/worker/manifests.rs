//! Reading and writing a media's manifest. It is the only object that is ever replaced, and only against the version
//! that was read: of two workers with the same media one writes, and the other one looks again.

use bytes::Bytes;

use super::answer::{Seen, outdated};
use super::job::Brief;
use super::outcome::Outcome;
use super::pipeline::Pipeline;
use crate::error::{Code, Fault};
use crate::events::{Manifest, ManifestError, Stage, StoredOutcome};
use crate::privacy::Refusal;
use crate::runtime::{At, Failure};
use crate::source::Fetched;
use crate::store::{MAX_GET_BYTES, PutOptions};

/// How often a manifest may be replaced by others while one outcome is about to be written.
const MAX_RACES: usize = 8;
const OPTIONS: PutOptions<'static> = PutOptions::of("application/json");

impl Pipeline {
    /// What the store knows of the media.
    pub(super) async fn look(&self, brief: &Brief<'_>) -> Result<Seen, Failure> {
        let key = brief.folder.manifest();
        let found = brief.within(Stage::Store, self.store().get_versioned(&key)).await?;
        let Some((bytes, version)) = found else { return Ok(Seen::Nothing) };
        match Manifest::read(&bytes) {
            Ok(manifest) => Ok(Seen::Found(Box::new(manifest), version)),
            // Doing the work again puts a good one in its place.
            Err(error @ ManifestError::Damaged) => {
                tracing::warn!(key, %error, "a manifest cannot be read and will be replaced");
                Ok(Seen::Damaged(version))
            }
            Err(ManifestError::Erased) => {
                // What another job had stored when the tombstone came is nobody's.
                let prefix = brief.folder.prefix();
                brief.within(Stage::Store, self.store().purge(&prefix, Some(&key))).await?;
                Err(Failure { stage: Stage::Parse, fault: Refusal::Erased.into() })
            }
            // It may name objects. A worker of another version wrote it and can read it.
            Err(ManifestError::Foreign) => Err(Failure { stage: Stage::Parse, fault: outdated() }),
        }
    }

    /// Writes the outcome that `make` makes of the number of its revision, unless another worker has meanwhile given this very
    /// request its outcome: then that one holds. `None` where the media was normalized meanwhile and the outcome is a
    /// rejection, which never replaces that.
    pub(super) async fn commit(
        &self,
        brief: &Brief<'_>,
        mut seen: Seen,
        fetched: &Fetched,
        make: impl Fn(u32) -> Result<StoredOutcome, Fault>,
    ) -> Result<Option<Outcome>, Failure> {
        for _ in 0..MAX_RACES {
            let before = match &seen {
                Seen::Found(manifest, _) => Some(&**manifest),
                Seen::Nothing | Seen::Damaged(_) => None,
            };
            let outcome = make(before.map_or(1, Manifest::next_revision)).at(Stage::Store)?;
            if matches!(outcome, StoredOutcome::Rejected(_)) && seen.normalized().is_some() {
                return Ok(None);
            }
            // Also where another worker has normalized the media meanwhile.
            seen.accepts(fetched).at(Stage::Fetch)?;
            let manifest = Manifest::new(outcome.clone(), brief.profile.raw.name.clone(), before);
            if self.write(brief, &seen, &manifest).await? {
                // An erasure that did not find this manifest had written its mark before; here it is read after.
                self.still_allowed(brief).await?;
                return Ok(Some(outcome.into()));
            }
            seen = self.look(brief).await?;
            if let Some(outcome) = seen.answer(brief.job, &brief.profile.raw.name).at(Stage::Store)? {
                return Ok(Some(outcome));
            }
        }
        let message = format!("the media's manifest was replaced by other workers {MAX_RACES} times in a row");
        Err(Failure { stage: Stage::Store, fault: Fault::transient(Code::StoreUnavailable, message) })
    }

    /// Writes the manifest in any case, and removes the objects that only the one before it named: for a person's own folder
    /// of results, which has no other reader.
    pub(super) async fn overwrite(&self, brief: &Brief<'_>, outcome: StoredOutcome) -> Result<Outcome, Failure> {
        let key = brief.folder.manifest();
        let before = brief.within(Stage::Store, self.store().get(&key)).await?;
        let manifest = Manifest::new(outcome.clone(), brief.profile.raw.name.clone(), None);
        brief.within(Stage::Store, self.store().put_bytes(&key, json(&manifest)?, OPTIONS)).await?;
        let before = before.and_then(|bytes| Manifest::read(&bytes).ok());
        for key in before.iter().flat_map(Manifest::keys).filter(|key| !manifest.keys().any(|new| new == *key)) {
            brief.within(Stage::Store, self.store().delete(key)).await?;
        }
        Ok(outcome.into())
    }

    /// Whether the manifest was written: not where there is another one by now.
    async fn write(&self, brief: &Brief<'_>, seen: &Seen, manifest: &Manifest) -> Result<bool, Failure> {
        let (key, json) = (brief.folder.manifest(), json(manifest)?);
        if json.len() as u64 > MAX_GET_BYTES {
            let message = format!("the manifest of all revisions would have more than {MAX_GET_BYTES} bytes");
            let fault = Fault::rejected(Code::EventLimitRevisions, message);
            return Err(Failure { stage: Stage::Store, fault });
        }
        match seen {
            Seen::Nothing => brief.within(Stage::Store, self.store().put_new(&key, json, OPTIONS)).await,
            Seen::Damaged(version) | Seen::Found(_, version) => {
                brief.within(Stage::Store, self.store().replace(&key, json, OPTIONS, version)).await
            }
        }
    }
}

fn json(manifest: &Manifest) -> Result<Bytes, Failure> {
    let no_json = |error| Fault::broken(Code::WorkerBroken, format!("the manifest does not turn into JSON: {error}"));
    manifest.to_json().map(Bytes::from).map_err(no_json).at(Stage::Store)
}
