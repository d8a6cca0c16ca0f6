//! A document at a URL that is kept: it is read when it is first needed, again when it is old, and at once where something is
//! missing in it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Between two requests for the document, whatever is missing in it.
const PAUSE: Duration = Duration::from_secs(10);

/// A document and when to read it again.
#[derive(Debug)]
pub(super) struct Refreshed<T> {
    /// What it is, for the log.
    name: &'static str,
    every: Duration,
    /// One request at a time: others wait for it.
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    document: Option<Arc<T>>,
    read_at: Option<Instant>,
    asked_at: Option<Instant>,
}

impl<T> Refreshed<T> {
    /// One that is old after `every`.
    pub(super) fn new(name: &'static str, every: Duration) -> Self {
        Self { name, every, known: Mutex::new(Known { document: None, read_at: None, asked_at: None }) }
    }

    /// The document, read by `read` where it is old or `lacks` something. Where that fails, what was read before stays in use.
    ///
    /// # Errors
    /// Where it was never read: why not, or nothing where that was tried a moment ago.
    pub(super) async fn get<E: Display>(
        &self,
        lacks: impl FnOnce(&T) -> bool,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, Option<E>> {
        self.get_at(Instant::now, lacks, read).await
    }

    async fn get_at<E: Display>(
        &self,
        now: impl Fn() -> Instant,
        lacks: impl FnOnce(&T) -> bool,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, Option<E>> {
        let mut known = self.known.lock().await;
        let is_due = |last: Option<Instant>, every| last.is_none_or(|last| now().duration_since(last) >= every);
        let is_old = is_due(known.read_at, self.every);
        if is_due(known.asked_at, PAUSE) && (is_old || known.document.as_deref().is_none_or(lacks)) {
            known.asked_at = Some(now());
            match read.await {
                Ok(document) => (known.document, known.read_at) = (Some(Arc::new(document)), Some(now())),
                Err(error) if known.document.is_none() => return Err(Some(error)),
                Err(error) => {
                    let name = self.name;
                    tracing::warn!(%error, "{name} cannot be read: what was read before stays in use");
                }
            }
        }
        known.document.clone().ok_or(None)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Reads what the cell has, and counts.
    async fn read(says: &Cell<Result<u8, &'static str>>, reads: &Cell<u8>) -> Result<u8, &'static str> {
        reads.set(reads.get() + 1);
        says.get()
    }

    #[tokio::test]
    async fn it_is_read_when_it_is_old_or_lacks_something_and_what_was_read_stays_where_that_fails() {
        let document = Refreshed::new("the document", Duration::from_secs(60));
        let (says, reads, now) = (Cell::new(Err("gone")), Cell::new(0), Cell::new(Instant::now()));
        let wait = |time: Duration| now.set(now.get() + time);
        let get = async |lacks: bool| {
            let got = document.get_at(|| now.get(), |_| lacks, read(&says, &reads)).await;
            (got.map(|it| *it), reads.get())
        };
        assert_eq!(get(false).await, (Err(Some("gone")), 1));
        says.set(Ok(1));
        assert_eq!(get(false).await, (Err(None), 1), "not again at once");
        wait(PAUSE);
        assert_eq!((get(false).await, get(false).await), ((Ok(1), 2), (Ok(1), 2)));
        wait(PAUSE);
        says.set(Ok(2));
        assert_eq!(get(false).await, (Ok(1), 2));
        assert_eq!((get(true).await, get(true).await), ((Ok(2), 3), (Ok(2), 3)));
        wait(Duration::from_secs(60));
        says.set(Err("gone"));
        assert_eq!((get(false).await, get(false).await), ((Ok(2), 4), (Ok(2), 4)));
    }
}
