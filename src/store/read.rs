//! The two ways to take what a reader gives: into memory and into a file. One loop each, for all backends.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::StoreError;
use super::backend::ObjectReader;

/// All bytes, of which there may be `limit_bytes`.
pub(super) async fn into_memory(reader: &mut dyn ObjectReader, limit_bytes: u64) -> Result<Bytes, StoreError> {
    let Some(first) = reader.next().await? else { return Ok(Bytes::new()) };
    within(first.len() as u64, limit_bytes)?;
    // A small object comes in one piece, which need not be copied.
    let Some(second) = reader.next().await? else { return Ok(first) };
    let mut bytes = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        within(bytes.len() as u64 + piece.len() as u64, limit_bytes)?;
        bytes.extend_from_slice(&piece);
        next = reader.next().await?;
    }
    Ok(bytes.freeze())
}

/// Into a file, which is created or emptied. Size in bytes, and SHA-256 in lower-case hex.
pub(super) async fn into_file(
    reader: &mut dyn ObjectReader,
    path: &Path,
    limit_bytes: u64,
) -> Result<(u64, String), StoreError> {
    let mut file = File::create(path).await.map_err(StoreError::Scratch)?;
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    while let Some(piece) = reader.next().await? {
        size_bytes += piece.len() as u64;
        within(size_bytes, limit_bytes)?;
        hash.update(&piece);
        file.write_all(&piece).await.map_err(StoreError::Scratch)?;
    }
    file.flush().await.map_err(StoreError::Scratch)?;
    Ok((size_bytes, hex::encode(hash.finalize())))
}

/// Refuses what is larger than the caller takes.
pub(super) fn within(size_bytes: u64, limit_bytes: u64) -> Result<(), StoreError> {
    if size_bytes > limit_bytes { Err(StoreError::TooLarge { limit_bytes }) } else { Ok(()) }
}
