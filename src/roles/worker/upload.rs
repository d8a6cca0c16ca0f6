//! From files in the scratch directory to objects in the store. The child's report about them was checked in `vet`.

use std::path::Path;
use std::time::SystemTime;

use futures_util::future::try_join_all;

use super::disposition::content_disposition_of;
use crate::events::{Action, Asset, Role};
use crate::source::Fetched;
use crate::store::{Folder, PutOptions, Store, StoreError, Stored};
use crate::task::{INPUT, Produced, Report};

/// What was stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredAssets {
    /// In the order of the report, the original last.
    pub(super) assets: Vec<Asset>,
    /// Where the original's bytes are.
    pub(super) original_key: Option<String>,
}

/// How it is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Whether the original is kept beside what was made of it.
    pub(super) keep_original: bool,
    /// When it is all to be deleted.
    pub(super) expires_at: Option<SystemTime>,
}

/// Stores what was produced, and the original where it is wanted or is what people open.
pub(super) async fn put(
    store: &Store,
    folder: &Folder,
    scratch: &Path,
    fetched: &Fetched,
    report: &Report,
    terms: Terms,
) -> Result<StoredAssets, StoreError> {
    let Terms { keep_original, expires_at } = terms;
    let put_one = |produced| put_one(store, folder, scratch, fetched, produced, expires_at);
    let produced = report.produced.iter().map(put_one);
    let mut assets = try_join_all(produced).await?;
    // The same bytes are not stored twice.
    let mut original_key = report
        .produced
        .iter()
        .zip(&assets)
        .find(|(produced, _)| produced.file == INPUT)
        .map(|(_, asset)| asset.key.clone());
    if let Some(original) = original(report, keep_original) {
        let asset = put_one(&original).await?;
        original_key = Some(asset.key.clone());
        assets.push(asset);
    }
    Ok(StoredAssets { assets, original_key })
}

async fn put_one(
    store: &Store,
    folder: &Folder,
    scratch: &Path,
    fetched: &Fetched,
    produced: &Produced,
    expires_at: Option<SystemTime>,
) -> Result<Asset, StoreError> {
    let sha256 = (produced.file == INPUT).then_some(fetched.sha256.as_str());
    let content_disposition = content_disposition_of(&produced.object, &produced.mime_type);
    let content_disposition = Some(content_disposition.as_str());
    let options = PutOptions { content_disposition, sha256, expires_at, ..PutOptions::of(&produced.mime_type) };
    let stored = store.put_addressed(folder, &produced.object, &scratch.join(&produced.file), options).await?;
    Ok(asset(produced, stored))
}

/// A file that was stored, as outcomes tell of it.
pub(super) fn asset(produced: &Produced, stored: Stored) -> Asset {
    Asset {
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
    }
}

/// The original as one more file to be stored, where it is wanted or is what people open, and is not among the outputs.
pub(super) fn original(report: &Report, keep_original: bool) -> Option<Produced> {
    let is_output = report.produced.iter().any(|produced| produced.file == INPUT);
    let is_wanted = keep_original || report.action == Action::KeptOriginal;
    (is_wanted && !is_output).then(|| Produced {
        role: Role::Original,
        file: INPUT.to_owned(),
        object: format!("original.{}", report.extension),
        mime_type: report.mime_type.clone(),
        codecs: Vec::new(),
        width: None,
        height: None,
        duration_ms: None,
        bit_rate: None,
    })
}
