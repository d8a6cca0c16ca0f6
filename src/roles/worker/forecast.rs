//! What a worker would store of a finished job, without storing it: for `mediamill bench`.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::describe::normalized;
use super::job::Job;
use super::outcome::About;
use super::upload::{StoredAssets, asset, original};
use crate::config::LoadedProfile;
use crate::events::{Manifest, Origin, Received, Record, StoredOutcome, Timings};
use crate::source::Fetched;
use crate::store::{Folder, Stored, keys};
use crate::task::{INPUT, Report};

/// The objects that a worker stores, each with its name and its size in bytes: the outputs in `scratch`, the original where it is kept, and the manifest last. The
/// manifest is that of a request of a channel which gives nothing to be echoed: with a message, tags or a context it has more
/// bytes.
///
/// # Errors
/// Those of looking at the files in `scratch`.
pub fn forecast(
    profile: &LoadedProfile,
    fetched: Fetched,
    report: Report,
    scratch: &Path,
) -> io::Result<Vec<(String, u64)>> {
    let job = job();
    let Job { received: Received { tenant, media_id, .. }, .. } = &job;
    let folder = Folder::new("", tenant, media_id);
    let original = original(&report, profile.raw.keep_original);
    let (mut objects, mut assets, mut original_key) = (Vec::new(), Vec::new(), None);
    for produced in report.produced.iter().chain(&original) {
        let size_bytes = std::fs::metadata(scratch.join(&produced.file))?.len();
        // Any hash is as long as this one.
        let sha256 = fetched.sha256.clone();
        let key = folder.key(&sha256, &produced.object);
        if produced.file == INPUT {
            original_key = Some(key.clone());
        }
        assets.push(asset(produced, Stored { key, size_bytes, sha256 }));
        objects.push((produced.object.clone(), size_bytes));
    }
    let stored = StoredAssets { assets, original_key };
    let data = normalized(&job, profile, fetched, report, stored, Timings::default());
    let about = About { tenant, media_id, profile_version: &profile.version, cause: &job.cause };
    let record = Record::new(about.normalized_id(1), Timestamp::now().to_string(), data)?;
    let outcome = StoredOutcome::Normalized(Box::new(record));
    let manifest = Manifest::new(outcome, profile.raw.name.clone(), None).to_json()?;
    objects.push((keys::MANIFEST.to_owned(), manifest.len() as u64));
    Ok(objects)
}

/// The job of a request with ids of the usual length.
fn job() -> Job {
    let received = Received {
        tenant: "tenant".to_owned(),
        media_id: format!("whatsapp-{}", "0".repeat(32)),
        origin: Origin::Channel { account: "account".to_owned(), media: "0".repeat(16) },
        declared: None,
        profile: None,
        renormalize: false,
        message: None,
        privacy: None,
        tags: Vec::new(),
        context: None,
    };
    Job::new("00000000-0000-0000-0000-000000000000".to_owned(), None, received, 0)
}
