//! A request's body, read up to its limits.

use std::sync::Arc;

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

/// Memory for the bodies of one account: its own share, of the memory that all accounts have.
#[derive(Debug)]
pub(super) struct Memory {
    all: Arc<Semaphore>,
    own: Semaphore,
}

/// Memory that a body takes; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    all: SemaphorePermit<'a>,
    own: SemaphorePermit<'a>,
}

/// Permits for so many bytes.
pub(super) fn permits(bytes: usize) -> Semaphore {
    Semaphore::new((bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))
}

impl Memory {
    /// The share of one account in `all`.
    pub(super) fn new(all: Arc<Semaphore>, options: &Options) -> Self {
        Self { all, own: permits(options.account_memory_bytes) }
    }

    /// Reads a body. Memory is taken as bytes arrive, so that somebody who announces much and sends nothing takes none.
    pub(super) async fn read(&self, body: Body, options: &Options) -> Result<(Vec<u8>, Taken<'_>), Unread> {
        let deadline = Instant::now() + options.body_timeout;
        timeout_at(deadline, self.frames(body, options.body_bytes)).await.unwrap_or(Err(Unread::TooSlow))
    }

    async fn frames(&self, mut body: Body, most: usize) -> Result<(Vec<u8>, Taken<'_>), Unread> {
        let mut bytes = Vec::new();
        let mut memory = self.take(1)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(Unread::TooLarge);
            }
            bytes.extend_from_slice(&data);
            let wanted = bytes.capacity().div_ceil(UNIT_BYTES);
            if wanted > memory.own.num_permits() {
                let more = self.take(wanted - memory.own.num_permits())?;
                memory.own.merge(more.own);
                memory.all.merge(more.all);
            }
        }
        Ok((bytes, memory))
    }

    fn take(&self, units: usize) -> Result<Taken<'_>, Unread> {
        let units = u32::try_from(units).map_err(|_| Unread::NoMemory)?;
        let own = self.own.try_acquire_many(units).map_err(|_| Unread::NoMemory)?;
        let all = self.all.try_acquire_many(units).map_err(|_| Unread::NoMemory)?;
        Ok(Taken { all, own })
    }
}
