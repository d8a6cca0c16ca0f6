//! Reads a file in pieces. A file that is replaced meanwhile is read to its end, because the open file does not change.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{StoreError, blocking, failed, found};
use crate::store::{ObjectReader, Version};

const ACTION: &str = "read an object";
const PIECE_BYTES: u64 = 256 << 10;

/// An open file and the position in it.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    size_bytes: u64,
    at: u64,
    end: u64,
    /// The first piece. It is read in the same task as the opening, so that a small object needs only one.
    first: Option<Bytes>,
}

/// Opens an object; `None` if it does not exist.
pub(super) fn open(root: &Path, path: &Path, range: Option<Range<u64>>) -> Result<Option<Reader>, StoreError> {
    let Some(file) = found(root, ACTION, File::open(path))? else { return Ok(None) };
    let metadata = file.metadata().map_err(failed(ACTION))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let size_bytes = metadata.len();
    let Range { start, end } = range.clone().unwrap_or(0..size_bytes);
    if range.is_some() && start >= size_bytes {
        return Err(StoreError::Range);
    }
    let end = end.min(size_bytes);
    let first = (start < end).then(|| piece(&file, start, end)).transpose()?;
    Ok(Some(Reader { file: Arc::new(file), size_bytes, at: start, end, first }))
}

fn piece(file: &File, at: u64, end: u64) -> Result<Bytes, StoreError> {
    let length = usize::try_from((end - at).min(PIECE_BYTES)).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).map_err(failed(ACTION))?;
    Ok(bytes.into())
}

#[async_trait]
impl ObjectReader for Reader {
    fn size_bytes(&self) -> Option<u64> {
        Some(self.size_bytes)
    }

    /// None: a file has nothing that safely identifies its version, because inodes are reused and time stamps are too
    /// coarse.
    fn version(&self) -> Option<Version> {
        None
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let bytes = match self.first.take() {
            Some(first) => first,
            None if self.at >= self.end => return Ok(None),
            None => {
                let (file, at, end) = (Arc::clone(&self.file), self.at, self.end);
                blocking(move || piece(&file, at, end)).await?
            }
        };
        self.at += bytes.len() as u64;
        Ok(Some(bytes))
    }
}
