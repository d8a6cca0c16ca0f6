//! Steps of deliveries, deliveries that have ended, and media that were erased.

use super::{Ledger, LedgerError};

/// A media at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaKey<'a> {
    /// Name of the destination.
    pub destination: &'a str,
    /// Whose media it is.
    pub tenant: &'a str,
    /// Which one.
    pub media_id: &'a str,
}

/// A step of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey<'a> {
    /// The media.
    pub media: MediaKey<'a>,
    /// Which of its outcomes.
    pub revision: i64,
    /// What the step is about.
    pub record: &'a str,
    /// What is done.
    pub step: &'a str,
}

/// How far a step is known to have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowState {
    /// It has begun. Whether the destination did it is not known.
    Begun,
    /// It has led to this remote id.
    Done(String),
}

/// A step that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about, with the scope in front.
    pub record: String,
    /// What is done.
    pub step: String,
    /// `id` of the event.
    pub event_id: String,
    /// How far it has come.
    pub state: RowState,
    /// Which of the media's outcomes it belongs to.
    pub revision: i64,
    /// When it came so far, in seconds of Unix time.
    pub at_s: i64,
}

impl Ledger {
    /// All steps of a media, of all its outcomes.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn steps(&self, media: MediaKey<'_>) -> Result<Vec<Row>, LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let statement = "SELECT record, step, event_id, remote_id, revision, is_done, at_s FROM deliver_step \
                         WHERE destination = $1 AND tenant = $2 AND media_id = $3 ORDER BY revision, at_s, record, step";
        let rows = self.rows("read steps", statement, (&[destination, tenant, media_id], &[]), (4, 3)).await?;
        Ok(rows.into_iter().filter_map(|(texts, numbers)| row(texts, &numbers)).collect())
    }

    /// A step begins: noted before its request is sent.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn begin(&self, key: StepKey<'_>, event_id: &str, now_s: i64) -> Result<(), LedgerError> {
        self.put(key, event_id, "", (0, now_s)).await
    }

    /// A step has led to this remote id.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn done(&self, key: StepKey<'_>, event_id: &str, remote_id: &str, now_s: i64) -> Result<(), LedgerError> {
        self.put(key, event_id, remote_id, (1, now_s)).await
    }

    async fn put(
        &self,
        key: StepKey<'_>,
        event_id: &str,
        remote_id: &str,
        (is_done, now_s): (i64, i64),
    ) -> Result<(), LedgerError> {
        let StepKey { media: MediaKey { destination, tenant, media_id }, revision, record, step } = key;
        let statement = "INSERT INTO deliver_step \
                         (destination, tenant, media_id, record, step, event_id, remote_id, revision, is_done, at_s) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                         ON CONFLICT (destination, tenant, media_id, revision, record, step) DO UPDATE \
                         SET event_id = excluded.event_id, remote_id = excluded.remote_id, is_done = excluded.is_done, \
                         at_s = excluded.at_s";
        let texts = [destination, tenant, media_id, record, step, event_id, remote_id];
        self.run("note a step", statement, &texts, &[revision, is_done, now_s]).await.map(drop)
    }

    /// A step was not done: it is as if it had not begun.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn forget(&self, key: StepKey<'_>) -> Result<(), LedgerError> {
        let StepKey { media: MediaKey { destination, tenant, media_id }, revision, record, step } = key;
        let statement = "DELETE FROM deliver_step WHERE destination = $1 AND tenant = $2 AND media_id = $3 \
                         AND record = $4 AND step = $5 AND revision = $6";
        let texts = [destination, tenant, media_id, record, step];
        self.run("forget a step", statement, &texts, &[revision]).await.map(drop)
    }

    /// Whether an event was delivered.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn is_delivered(&self, destination: &str, event_id: &str) -> Result<bool, LedgerError> {
        let statement = "SELECT at_s FROM deliver_event WHERE destination = $1 AND event_id = $2";
        let rows = self.rows("look for a delivery", statement, (&[destination, event_id], &[]), (0, 1)).await?;
        Ok(!rows.is_empty())
    }

    /// Whether any event of a media was delivered, or was not wanted.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn has_delivered(&self, media: MediaKey<'_>) -> Result<bool, LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let statement =
            "SELECT at_s FROM deliver_event WHERE destination = $1 AND tenant = $2 AND media_id = $3 LIMIT 1";
        let rows = self.rows("look for deliveries", statement, (&[destination, tenant, media_id], &[]), (0, 1)).await?;
        Ok(!rows.is_empty())
    }

    /// An event was delivered.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn delivered(
        &self,
        media: MediaKey<'_>,
        event_id: &str,
        time_s: i64,
        now_s: i64,
    ) -> Result<(), LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let statement = "INSERT INTO deliver_event (destination, tenant, media_id, event_id, time_s, at_s) \
                         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (destination, event_id) DO UPDATE SET at_s = excluded.at_s";
        let texts = [destination, tenant, media_id, event_id];
        self.run("note a delivery", statement, &texts, &[time_s, now_s]).await.map(drop)
    }

    /// The media of which an event with a time from one second to before another was delivered: tenant and id of each, once.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn media_between(
        &self,
        destination: &str,
        from_s: i64,
        to_s: i64,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        let statement = "SELECT DISTINCT tenant, media_id FROM deliver_event \
                         WHERE destination = $1 AND time_s >= $2 AND time_s < $3 ORDER BY tenant, media_id";
        let rows = self.rows("look for deliveries", statement, (&[destination], &[from_s, to_s]), (2, 0)).await?;
        let pair = |(texts, _): (Vec<String>, Vec<i64>)| <[String; 2]>::try_from(texts).ok().map(|[a, b]| (a, b));
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// The deliveries of a media are to be made again: its events count as not delivered, and its steps as begun, so that what
    /// is there is found again and what is missing is made.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn reopen(&self, media: MediaKey<'_>) -> Result<(), LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let texts = [destination, tenant, media_id];
        for statement in [
            "UPDATE deliver_step SET is_done = 0, remote_id = '', at_s = 0 \
             WHERE destination = $1 AND tenant = $2 AND media_id = $3",
            "DELETE FROM deliver_event WHERE destination = $1 AND tenant = $2 AND media_id = $3",
        ] {
            self.run("open a delivery again", statement, &texts, &[]).await?;
        }
        Ok(())
    }

    /// Whether a media was erased at a destination: nothing of it is delivered there any more.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn is_erased(&self, media: MediaKey<'_>) -> Result<bool, LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let statement = "SELECT at_s FROM deliver_erased WHERE destination = $1 AND tenant = $2 AND media_id = $3";
        let rows = self.rows("look for an erase", statement, (&[destination, tenant, media_id], &[]), (0, 1)).await?;
        Ok(!rows.is_empty())
    }

    /// From now on nothing of a media is delivered: before what is there is removed.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn bar(&self, media: MediaKey<'_>, now_s: i64) -> Result<(), LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        let statement = "INSERT INTO deliver_erased (destination, tenant, media_id, at_s) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (destination, tenant, media_id) DO NOTHING";
        self.run("note an erase", statement, &[destination, tenant, media_id], &[now_s]).await.map(drop)
    }

    /// What was delivered of a media is removed there: its rows are no longer needed.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn drop_media(&self, media: MediaKey<'_>) -> Result<(), LedgerError> {
        let MediaKey { destination, tenant, media_id } = media;
        for statement in [
            "DELETE FROM deliver_step WHERE destination = $1 AND tenant = $2 AND media_id = $3",
            "DELETE FROM deliver_event WHERE destination = $1 AND tenant = $2 AND media_id = $3",
        ] {
            self.run("remove deliveries", statement, &[destination, tenant, media_id], &[]).await?;
        }
        Ok(())
    }
}

fn row(texts: Vec<String>, numbers: &[i64]) -> Option<Row> {
    let [record, step, event_id, remote_id] = <[String; 4]>::try_from(texts).ok()?;
    let [revision, is_done, at_s] = *numbers else { return None };
    let state = if is_done == 0 { RowState::Begun } else { RowState::Done(remote_id) };
    Some(Row { record, step, event_id, state, revision, at_s })
}
