//! Describes a finished job: the data of its *media normalized* event.

use super::job::Job;
use super::upload::StoredAssets;
use crate::config::LoadedProfile;
use crate::events::{Asset, Decision, Normalized, Original, Role, Timings, WorkerInfo};
use crate::source::Fetched;
use crate::task::Report;

/// Puts together what was asked, found, made and stored.
pub(super) fn normalized(
    job: &Job,
    profile: &LoadedProfile,
    fetched: Fetched,
    report: Report,
    stored: StoredAssets,
    timings_ms: Timings,
) -> Normalized {
    let received = &job.received;
    let declared = received.declared.clone().unwrap_or_default();
    // What people open: the playback asset, a picture's rendition, or else the original.
    let opened = |asset: &&Asset| matches!(asset.role, Role::Playback | Role::Rendition);
    let bytes_after = stored.assets.iter().find(opened).map_or(fetched.size_bytes, |asset| asset.size_bytes);
    Normalized {
        tenant: received.tenant.clone(),
        media_id: received.media_id.clone(),
        cause: job.cause.clone(),
        revision: 1,
        kind: report.kind,
        decision: Decision {
            action: report.action,
            reasons: report.reasons,
            profile: profile.raw.name.clone(),
            profile_version: profile.version.clone(),
            bytes_before: fetched.size_bytes,
            bytes_after,
        },
        original: Original {
            mime_type: report.mime_type,
            declared_mime_type: declared.mime_type,
            file_name: declared.file_name,
            size_bytes: fetched.size_bytes,
            sha256: fetched.sha256,
            container: report.container,
            duration_ms: report.duration_ms,
            streams: report.streams,
            created_at: report.created_at,
            damaged: report.damage.is_some(),
            damage: report.damage,
            key: stored.original_key,
        },
        assets: stored.assets,
        loudness: report.loudness,
        peaks: report.peaks,
        message: received.message.clone(),
        privacy: received.privacy.clone(),
        tags: received.tags.clone(),
        context: received.context.clone(),
        expires_at: None,
        timings_ms,
        worker: WorkerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            libav: report.libav,
            sandbox: report.sandbox,
        },
    }
}
