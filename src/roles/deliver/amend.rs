//! Adds to the note of a media, by what the ledger knows of it.

use std::time::Duration;

use super::amendment::{Amendment, Written};
use super::destination::{Applied, Failed, ReadBack};
use super::engine::{Ended, Engine, Halt, now_s};
use super::ledger::{MediaKey, Row, RowState, StepKey};
use super::site::Site;
use super::subject::Subject;
use crate::error::Code;

/// What a note is in the ledger, for each kind of destination.
const NOTES: [&str; 6] = ["note", "task", "media", "ticket", "comment", "message"];

/// For so long the note of a message that was taken back is waited for.
const REVOKED_S: i64 = 3600;

impl Engine {
    /// Adds to the note of the media's last outcome. Doing it twice is the same as doing it once.
    pub(super) async fn amend(
        &self,
        site: &Site,
        subject: &Subject,
        amendment: &Amendment,
        media: MediaKey<'_>,
    ) -> Result<Ended, Halt> {
        let rows = self.ledger.steps(media).await?;
        let Some((row, written)) = note_of(&rows) else {
            // Where an outcome came and made no note, there will be none.
            if self.ledger.has_delivered(media).await? {
                return Ok(Ended::Unwanted);
            }
            // Channels do not say what was taken back: mostly a text, which has no note.
            let age_s = now_s().saturating_sub(amendment.time.as_second());
            if amendment.word == "revoked" && age_s > REVOKED_S {
                return Ok(Ended::Unwanted);
            }
            let text = "the note that this belongs to is not there, or not yet";
            return Err(Failed::transient(Code::DeliverNoRecord, text).into());
        };
        let Some(name) = site.destination.adds() else {
            site.destination.amend(written, amendment).await?;
            return Ok(Ended::Delivered);
        };
        let record = format!("{}{}/{name}", subject.scope(), subject.event_id);
        let known = rows.iter().find(|row| row.record == record && row.step == "create");
        // With the revision of the note, so that erasing finds both together.
        let revision = known.map_or(row.revision, |known| known.revision);
        let key = StepKey { media, revision, record: &record, step: "create" };
        self.add(site, written, amendment, (key, known)).await
    }

    /// A further note, which must not be written twice.
    async fn add(
        &self,
        site: &Site,
        written: Written<'_>,
        amendment: &Amendment,
        (key, known): (StepKey<'_>, Option<&Row>),
    ) -> Result<Ended, Halt> {
        let event_id = &amendment.event_id;
        if let Some(row) = known {
            if matches!(row.state, RowState::Done(_)) {
                return Ok(Ended::Delivered);
            }
            let lag_s = i64::try_from(site.config.read_back_lag_s).unwrap_or(i64::MAX);
            let wait_s = row.at_s.saturating_add(lag_s).saturating_sub(now_s());
            if wait_s > 0 {
                return Err(Halt::TooEarly(Duration::from_secs(wait_s.unsigned_abs())));
            }
            if let ReadBack::Found(id) = site.destination.read_amendment(written, amendment).await? {
                self.ledger.done(key, event_id, &id, now_s()).await?;
                return Ok(Ended::Delivered);
            }
        }
        self.ledger.begin(key, event_id, now_s()).await?;
        match site.destination.amend(written, amendment).await {
            Ok(Applied::Done(id)) => self.ledger.done(key, event_id, &id, now_s()).await?,
            Ok(Applied::Nothing | Applied::EndsHere) => self.ledger.forget(key).await?,
            Err(failed) => {
                if !failed.is_unknown {
                    self.ledger.forget(key).await?;
                }
                return Err(failed.into());
            }
        }
        Ok(Ended::Delivered)
    }

    /// An outcome that the destination does not want: noted, so that what would be added to its note is known to have none.
    pub(super) async fn unwanted(&self, site: &Site, subject: &Subject) -> Result<(), Halt> {
        if site.amends() {
            let media = super::engine::media(site, subject);
            let time_s = subject.time.map_or(0, jiff::Timestamp::as_second);
            self.ledger.delivered(media, &subject.event_id, time_s, now_s()).await?;
        }
        Ok(())
    }
}

/// The note of the last outcome that made one.
fn note_of(rows: &[Row]) -> Option<(&Row, Written<'_>)> {
    let notes = rows.iter().filter_map(|row| match &row.state {
        RowState::Done(id)
            if NOTES.contains(&row.record.as_str()) && ["create", "upsert"].contains(&row.step.as_str()) =>
        {
            Some((row, Written { record: &row.record, id }))
        }
        RowState::Done(_) | RowState::Begun => None,
    });
    notes.max_by_key(|(row, _)| row.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_of_the_last_outcome_is_added_to() {
        let row = |record: &str, step: &str, revision, id: Option<&str>| Row {
            record: record.to_owned(),
            step: step.to_owned(),
            event_id: "e".to_owned(),
            state: id.map_or(RowState::Begun, |id| RowState::Done(id.to_owned())),
            revision,
            at_s: 1,
        };
        let rows = [
            row("note", "create", 1, Some("7")),
            row("note", "create", 2, Some("9")),
            row("note", "create", 3, None),
            row("contact", "find", 4, Some("1")),
            row("transcribed/x/comment", "create", 5, Some("2")),
        ];
        assert_eq!(note_of(&rows).map(|(row, written)| (row.revision, written.id)), Some((2, "9")));
        assert_eq!(note_of(&rows[2..]), None);
    }
}
