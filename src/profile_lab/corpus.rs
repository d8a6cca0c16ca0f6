//! The files on which points are measured.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::BenchError;

/// A file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The path with which it is opened.
    pub path: PathBuf,
    /// The name in reports.
    pub label: String,
    /// SHA-256 in hex, by which a resumed run recognises the file.
    pub sha256: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

impl Media {
    /// Reads a file and computes its hash.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn read(path: PathBuf, label: String) -> Result<Self, BenchError> {
        let mut hash = Sha256::new();
        let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut hash));
        let size_bytes = copied.map_err(BenchError::at(&path))?;
        Ok(Self { path, label, sha256: hex::encode(hash.finalize()), size_bytes })
    }
}
