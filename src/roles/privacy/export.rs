//! A copy of everything that is held of a person, as a zip file that opens without this program. Objects go through in pieces.

use std::io::{Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Conduct, ConductError};
use crate::privacy::audit::Action;
use crate::privacy::{Subject, within};

const README: &str = "What is stored of you, or of the person who asked for it.

index.json   what there is: media with their messages, until when they are kept, decisions, holds, and who looked at what
media/       a folder for each media: manifest.json says what the files in it are
";

/// Why there is no zip file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Conduct(#[from] ConductError),
    /// The file that is written.
    #[error("the export cannot be written: {0}")]
    File(String),
    /// An object went away while it was exported.
    #[error("an object is gone that was there when the export began: begin it again")]
    Gone,
}

impl From<zip::result::ZipError> for ExportError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::File(error.to_string())
    }
}

impl From<std::io::Error> for ExportError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error.to_string())
    }
}

impl From<crate::store::StoreError> for ExportError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Conduct(error.into())
    }
}

/// Writes everything of a subject. The audit log notes it.
///
/// # Errors
/// [`ExportError`]; then what was written is good for nothing.
pub async fn export<W: Write + Seek>(
    conduct: &Conduct,
    tenant: &str,
    subject: &Subject,
    out: W,
) -> Result<W, ExportError> {
    let mut zip = ZipWriter::new(out);
    let text = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("README.txt", text)?;
    zip.write_all(README.as_bytes())?;
    zip.start_file("index.json", text)?;
    serde_json::to_writer_pretty(&mut zip, &subject.index).map_err(|error| ExportError::File(error.to_string()))?;
    let folder = conduct.store().folder(tenant, "any");
    let of_tenant = folder.as_str().rsplit_once('/').map(|(tenant, _)| format!("{tenant}/")).unwrap_or_default();
    for object in &subject.objects {
        // Keys are safe as file names: what is not plain ASCII in an id is percent-encoded.
        let name = format!("media/{}", within(&object.key, &of_tenant));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name, stored.large_file(object.size_bytes >= u64::from(u32::MAX)))?;
        let mut reader = conduct.store().open(&object.key, None).await?.ok_or(ExportError::Gone)?;
        while let Some(piece) = reader.next().await? {
            zip.write_all(&piece)?;
        }
    }
    let out = zip.finish()?;
    conduct.note(Action::Export, tenant, |_entry| {}).await?;
    Ok(out)
}
