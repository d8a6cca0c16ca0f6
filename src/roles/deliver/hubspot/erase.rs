//! Removes what is there of an erased media.

use serde_json::json;

use super::super::call::Call;
use super::super::destination::{Failed, ReadBack, Residue};
use super::super::ledger::{MediaKey, Row, RowState};
use super::super::map::file_stem;
use super::super::marker::marker;
use super::Hubspot;
use crate::egress::Method;
use crate::error::Code;

/// HubSpot keeps deleted records in its recycle bin for so long (unverified).
const BIN_DAYS: u32 = 90;

impl Hubspot {
    /// Empties the note, then deletes it, and deletes files so that none is left in a bin.
    pub(super) async fn erase_rows(&self, media: MediaKey<'_>, rows: &[Row]) -> Result<Vec<Residue>, Failed> {
        let mut residues = Vec::new();
        for row in rows {
            let record = row.record.rsplit('/').next().unwrap_or_default();
            match (record, row.step.as_str()) {
                ("note", "create") => {
                    if let Some(id) = self.note_of(row, rows).await? {
                        self.erase_note(&id).await?;
                        let what = "an emptied note in the recycle bin of HubSpot".to_owned();
                        residues.push(Residue { what, days: Some(BIN_DAYS) });
                    }
                }
                (_, "upload") => {
                    let ids = match &row.state {
                        RowState::Done(id) => vec![id.clone()],
                        // The upload may have arrived: its file has the media's name.
                        RowState::Begun => self.files_named(&file_stem(media.tenant, media.media_id)).await?,
                    };
                    for id in ids {
                        let call = Call::new(Method::Delete, self.files(&format!("/{id}/gdpr-delete")));
                        self.gone(&call).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(residues)
    }

    /// The note of a row; looked for where only its beginning is known.
    async fn note_of(&self, row: &Row, rows: &[Row]) -> Result<Option<String>, Failed> {
        if let RowState::Done(id) = &row.state {
            return Ok(Some(id.clone()));
        }
        let is_contact = |other: &&Row| {
            other.revision == row.revision
                && other.record.ends_with("contact")
                && ["find", "create"].contains(&other.step.as_str())
        };
        let contact = rows.iter().filter(is_contact).find_map(|other| match &other.state {
            RowState::Done(id) => Some(id.as_str()),
            RowState::Begun => None,
        });
        match self.find_note(contact, &marker(&row.event_id)).await? {
            ReadBack::Found(id) => Ok(Some(id)),
            ReadBack::NotThere | ReadBack::CannotTell => Ok(None),
        }
    }

    async fn erase_note(&self, id: &str) -> Result<(), Failed> {
        // What goes into the bin says nothing.
        let empty = json!({ "properties": { "hs_note_body": "erased", "hs_attachment_ids": "" } });
        self.gone(&Call::json(Method::Patch, self.objects(&format!("notes/{id}")), empty)).await?;
        self.gone(&Call::new(Method::Delete, self.objects(&format!("notes/{id}")))).await
    }

    /// Sends a request after which something is gone; what was gone before is fine.
    async fn gone(&self, call: &Call) -> Result<(), Failed> {
        match self.done(call, false).await {
            Ok(_) => Ok(()),
            Err(failed) if failed.code == Code::DeliverNoRecord => Ok(()),
            Err(failed) => Err(failed),
        }
    }
}
