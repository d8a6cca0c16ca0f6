//! Stores a file that was fetched and then rejected, because its channel deletes it within days.

use std::io::Read;
use std::path::Path;

use super::answer::Seen;
use super::disposition::content_disposition_of;
use super::job::Brief;
use super::outcome::{Outcome, Subject};
use super::pipeline::Pipeline;
use super::scratch::Scratch;
use crate::events::{RejectedOriginal, Stage, StoredOutcome};
use crate::plan::{ACCEPTED, Accepted};
use crate::runtime::Failure;
use crate::source::Fetched;
use crate::store::{PutOptions, StoreError};
use crate::task::{INPUT, RECOGNISED};

/// MIME type and extension of an original that nothing recognised.
const UNKNOWN: (&str, &str) = ("application/octet-stream", "bin");

impl Pipeline {
    /// Stores the original of a file that is rejected, so that it is not lost with its channel, and the rejection as the
    /// media's outcome. The failure itself where the job goes on, where the profile keeps no originals, and where the
    /// media was normalized before: that stands.
    pub(super) async fn keep_rejected(
        &self,
        brief: &Brief<'_>,
        seen: Seen,
        scratch: &Scratch,
        fetched: &Fetched,
        failure: Failure,
    ) -> Result<Outcome, Failure> {
        let job = brief.job;
        let code = failure.fault.code().filter(|_| job.is_rejected_by(&failure.fault));
        let is_kept = !job.again && brief.profile.raw.keep_original && seen.normalized().is_none();
        let Some(code) = code.filter(|_| is_kept) else { return Err(failure) };
        let original = brief.within(Stage::Store, self.put_rejected(brief, scratch.path(), fetched)).await?;
        let subject = Subject {
            cause: &job.cause,
            received: &job.received,
            profile_version: &brief.profile.version,
            attempts: job.tries.attempts.saturating_add(1),
        };
        let make = |revision| {
            let kept = (original.clone(), revision, brief.permit.expires_at);
            let record = subject.rejected_and_kept(failure.stage, code, failure.fault.message(), kept);
            Ok(StoredOutcome::Rejected(Box::new(record)))
        };
        self.commit(brief, seen, fetched, make).await?.ok_or(failure)
    }

    async fn put_rejected(
        &self,
        brief: &Brief<'_>,
        scratch: &Path,
        fetched: &Fetched,
    ) -> Result<RejectedOriginal, StoreError> {
        let container = recognised(scratch);
        let (mime_type, extension) = container.map_or(UNKNOWN, |row| (row.mime_type, row.extension));
        let object = format!("original.{extension}");
        let content_disposition = content_disposition_of(&object, mime_type);
        let options = PutOptions {
            content_disposition: Some(&content_disposition),
            sha256: Some(&fetched.sha256),
            expires_at: brief.permit.expires_at.map(Into::into),
            ..PutOptions::of(mime_type)
        };
        let stored = self.store().put_addressed(&brief.folder, &object, &scratch.join(INPUT), options).await?;
        let declared = brief.job.received.declared.clone().unwrap_or_default();
        Ok(RejectedOriginal {
            mime_type: mime_type.to_owned(),
            declared_mime_type: declared.mime_type,
            file_name: declared.file_name,
            size_bytes: stored.size_bytes,
            sha256: stored.sha256,
            container: container.map(|row| row.name.to_owned()),
            key: Some(stored.key),
        })
    }
}

/// What the child took the file for before it ended. It read hostile bytes, so all that it can say is one name of a table.
fn recognised(scratch: &Path) -> Option<&'static Accepted> {
    let path = scratch.join(RECOGNISED);
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut name = String::new();
    std::fs::File::open(path).ok()?.take(64).read_to_string(&mut name).ok()?;
    ACCEPTED.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_can_name_a_container_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(recognised(dir.path()).is_none(), "it said nothing");
        let say = |text: &[u8]| {
            std::fs::write(dir.path().join(RECOGNISED), text).expect("written");
            recognised(dir.path()).map(|row| row.extension)
        };
        assert_eq!(say(b"mp4"), Some("mp4"));
        for text in [&b"text/html"[..], b"mp4\n", b"", b"\xff", &[b'm'; 100_000]] {
            assert_eq!(say(text), None, "{text:?}");
        }
        std::fs::remove_file(dir.path().join(RECOGNISED)).expect("removed");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(RECOGNISED)).expect("a link");
        assert!(recognised(dir.path()).is_none(), "links are not followed");
    }
}
