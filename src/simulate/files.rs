//! The files that the simulated messages carry.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Larger files are not sent: this is Meta's limit for incoming media.
const MAX_BYTES: u64 = 100 << 20;

/// A file in the folder.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its path.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// MIME type derived from its name.
    pub mime_type: String,
    /// `audio`, `video`, `image` or `document`: how a phone sends such a file.
    pub kind: &'static str,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// All files in a folder, ordered by name.
#[derive(Debug)]
pub struct Files(Vec<Sample>);

impl Files {
    /// Reads a folder without its subfolders.
    ///
    /// # Errors
    /// If it cannot be read, or has no file that can be sent.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        paths.sort();
        let mut samples = Vec::new();
        for path in paths {
            let meta = path.metadata()?;
            if meta.is_file() && meta.len() > 0 && meta.len() <= MAX_BYTES {
                samples.push(sample(path)?);
            }
        }
        if samples.is_empty() {
            return Err(io::Error::other(format!("{} has no file with 1 byte to 100 MiB", folder.display())));
        }
        Ok(Self(samples))
    }

    /// The file of the n-th message. After the last file it begins again with the first.
    #[must_use]
    pub fn of_message(&self, n: usize) -> &Sample {
        &self.0[n % self.0.len()]
    }
}

fn sample(path: PathBuf) -> io::Result<Sample> {
    let bytes = std::fs::read(&path)?;
    let mime = mime_guess::from_path(&path).first_or_octet_stream();
    let kind = match mime.type_().as_str() {
        "audio" => "audio",
        "video" => "video",
        "image" => "image",
        _ => "document",
    };
    Ok(Sample {
        name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        mime_type: mime.to_string(),
        kind,
        size_bytes: bytes.len() as u64,
        sha256: Sha256::digest(&bytes).into(),
        path,
    })
}
