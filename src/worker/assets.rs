//! From files in the scratch directory to objects in the store.
//!
//! The report comes from a process that read hostile bytes. Whatever in it names a file, an object or a type is
//! checked before it is used: a child that was taken over could otherwise have the worker upload any file for it.

use std::path::Path;

use futures_util::future::try_join_all;

use super::objects::{content_disposition_of, content_type_of};
use crate::error::{Code, Fault};
use crate::events::{Action, Asset, Received, RejectedOriginal, Role};
use crate::sandbox::protocol::{INPUT, Produced, Report};
use crate::source::Fetched;
use crate::store::{Folder, PutOptions, Store, StoreError};

/// More than any task makes: playback, thumbnail, waveform, peaks, and room for two more.
const MAX_PRODUCED: usize = 6;
/// Longest MIME type or file extension that is passed on.
const MAX_NAME_BYTES: usize = 127;

/// Name and MIME type of an original that nothing recognised.
const UNKNOWN_OBJECT: &str = "original.bin";
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What was stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    /// In the order of the report, the original last.
    pub(super) assets: Vec<Asset>,
    /// Where the original's bytes are.
    pub(super) original_key: Option<String>,
}

/// Checks a report against what a well-behaved child can say.
pub(super) fn vet(report: &Report, scratch: &Path) -> Result<(), Fault> {
    let broke = |what: &str| Err(Fault::broken(Code::WorkerSandbox, format!("the child's report {what}")));
    if report.produced.len() > MAX_PRODUCED {
        return broke("names too many files");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if report.extension.is_empty() || report.extension.len() > 16 || !report.extension.chars().all(plain) {
        return broke("has an impossible extension");
    }
    if !is_mime(&report.mime_type) || report.produced.iter().any(|produced| !is_mime(&produced.mime_type)) {
        return broke("has an impossible MIME type");
    }
    for (n, produced) in report.produced.iter().enumerate() {
        if !object_fits(produced) || report.produced[..n].iter().any(|other| other.object == produced.object) {
            return broke("has an impossible object name");
        }
        if content_type_of(&produced.object, &report.mime_type) != Some(&produced.mime_type) {
            return broke("gives an object another MIME type than its name has");
        }
        let name_ok = !produced.file.is_empty() && !produced.file.contains(['/', '\0']) && produced.file != "..";
        let is_file = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
        if !name_ok || !is_file(&scratch.join(&produced.file)) {
            return broke("names something that is no file of its own");
        }
    }
    Ok(())
}

/// Stores what was produced, and the original where it is wanted or is what people open.
pub(super) async fn put(
    store: &Store,
    folder: &Folder,
    scratch: &Path,
    fetched: &Fetched,
    report: &Report,
    keep_original: bool,
) -> Result<Kept, StoreError> {
    let produced = report.produced.iter().map(|produced| put_one(store, folder, scratch, fetched, produced));
    let mut assets = try_join_all(produced).await?;
    // The same bytes are not stored twice.
    let mut original_key = report
        .produced
        .iter()
        .zip(&assets)
        .find(|(produced, _)| produced.file == INPUT)
        .map(|(_, asset)| asset.key.clone());
    let wanted = keep_original || report.action == Action::KeptOriginal;
    if original_key.is_none() && wanted {
        let original = original(report);
        let asset = put_one(store, folder, scratch, fetched, &original).await?;
        original_key = Some(asset.key.clone());
        assets.push(asset);
    }
    Ok(Kept { assets, original_key })
}

/// Stores the original of a file that is rejected. What it is nobody can say, so it is stored as bytes to be saved.
pub(super) async fn put_rejected(
    store: &Store,
    folder: &Folder,
    scratch: &Path,
    fetched: &Fetched,
    received: &Received,
) -> Result<RejectedOriginal, StoreError> {
    let content_disposition = content_disposition_of(UNKNOWN_TYPE);
    let options = PutOptions { content_type: UNKNOWN_TYPE, content_disposition, sha256: Some(&fetched.sha256) };
    let stored = store.put_addressed(folder, UNKNOWN_OBJECT, &scratch.join(INPUT), options).await?;
    let declared = received.declared.clone().unwrap_or_default();
    Ok(RejectedOriginal {
        mime_type: UNKNOWN_TYPE.to_owned(),
        declared_mime_type: declared.mime_type,
        file_name: declared.file_name,
        size_bytes: stored.size_bytes,
        sha256: stored.sha256,
        container: None,
        key: Some(stored.key),
    })
}

async fn put_one(
    store: &Store,
    folder: &Folder,
    scratch: &Path,
    fetched: &Fetched,
    produced: &Produced,
) -> Result<Asset, StoreError> {
    let sha256 = (produced.file == INPUT).then_some(fetched.sha256.as_str());
    let content_disposition = content_disposition_of(&produced.mime_type);
    let options = PutOptions { content_type: &produced.mime_type, content_disposition, sha256 };
    let stored = store.put_addressed(folder, &produced.object, &scratch.join(&produced.file), options).await?;
    Ok(Asset {
        role: produced.role,
        key: stored.key,
        mime_type: produced.mime_type.clone(),
        size_bytes: stored.size_bytes,
        sha256: stored.sha256,
        codec: produced.codecs.first().cloned(),
        codecs: produced.codecs.clone(),
        width: produced.width,
        height: produced.height,
        duration_ms: produced.duration_ms,
        bit_rate: produced.bit_rate,
    })
}

/// The original as one more file to be stored.
fn original(report: &Report) -> Produced {
    Produced {
        role: Role::Original,
        file: INPUT.to_owned(),
        object: format!("original.{}", report.extension),
        mime_type: report.mime_type.clone(),
        codecs: Vec::new(),
        width: None,
        height: None,
        duration_ms: None,
        bit_rate: None,
    }
}

/// Whether the object's name is the one that its role has: nothing else can be written, the manifest least of all.
fn object_fits(produced: &Produced) -> bool {
    let object = produced.object.as_str();
    match produced.role {
        Role::Playback => ["audio.mp3", "audio.m4a", "video.mp4"].contains(&object),
        Role::Thumbnail => object == "thumbnail.jpg",
        Role::Waveform => object == "waveform.png",
        Role::Peaks => object == "peaks.json",
        Role::Original => false,
    }
}

fn is_mime(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(plain);
    text.len() <= MAX_NAME_BYTES && text.split_once('/').is_some_and(|(kind, name)| part(kind) && part(name))
}
