//! A request's body, read up to its limits.

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::Options;

/// A permit of the memory semaphore stands for so many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// More bytes than a webhook may have.
    TooLarge,
    /// Not there in time.
    TooSlow,
    /// The connection broke off, or what was sent is no body.
    Broken,
    /// Bodies that are being read already take all the memory that there is for them.
    NoMemory,
}

/// Memory for bodies.
#[derive(Debug)]
pub(super) struct Memory(Semaphore);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Semaphore::new((bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS)))
    }

    /// Reads a body. Memory is taken as bytes arrive, so that somebody who announces much and sends nothing takes none; it
    /// is given back with the permit.
    pub(super) async fn read(&self, body: Body, options: &Options) -> Result<(Vec<u8>, SemaphorePermit<'_>), Unread> {
        let deadline = Instant::now() + options.body_timeout;
        timeout_at(deadline, self.frames(body, options.body_bytes)).await.unwrap_or(Err(Unread::TooSlow))
    }

    async fn frames(&self, mut body: Body, most: usize) -> Result<(Vec<u8>, SemaphorePermit<'_>), Unread> {
        let mut bytes = Vec::new();
        let mut memory = self.take(1)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(Unread::TooLarge);
            }
            bytes.extend_from_slice(&data);
            let wanted = bytes.capacity().div_ceil(UNIT_BYTES);
            if wanted > memory.num_permits() {
                memory.merge(self.take(wanted - memory.num_permits())?);
            }
        }
        Ok((bytes, memory))
    }

    fn take(&self, units: usize) -> Result<SemaphorePermit<'_>, Unread> {
        let units = u32::try_from(units).map_err(|_| Unread::NoMemory)?;
        self.0.try_acquire_many(units).map_err(|_| Unread::NoMemory)
    }
}
