//! Removes what is there of an erased media: its files, then the note, which is emptied before.

use serde_json::json;

use super::super::call::Call;
use super::super::destination::{Failed, Residue};
use super::super::ledger::{Row, RowState};
use super::super::marker::marker;
use super::{Contact, Zoho, body};
use crate::egress::Method;
use crate::error::Code;

/// How long deleted records stay in the recycle bin.
const BIN_DAYS: u32 = 60;

impl Zoho {
    pub(super) async fn erase_rows(&self, rows: &[Row]) -> Result<Vec<Residue>, Failed> {
        let mut residues = Vec::new();
        for row in rows.iter().filter(|row| row.step == "create" && row.record.ends_with("note")) {
            let note = match &row.state {
                RowState::Done(id) => Some(id.clone()),
                RowState::Begun => self.begun(row, rows).await?,
            };
            let Some(note) = note else { continue };
            // Every file of the note is of this media: also one whose upload only began.
            let files = match self.files_of(&note).await {
                Err(failed) if failed.code == Code::DeliverNoRecord => continue,
                files => files?,
            };
            for (file, _) in files {
                self.gone(&Call::new(Method::Delete, self.path(&format!("Notes/{note}/Attachments/{file}")))).await?;
            }
            let url = self.path(&format!("Notes/{note}"));
            let empty = json!({ "Note_Title": "erased", "Note_Content": "erased" });
            self.gone(&Call::json(Method::Put, url.clone(), body(empty))).await?;
            self.gone(&Call::new(Method::Delete, url)).await?;
            let what = "an emptied note, and perhaps its file, in the recycle bin of Zoho CRM".to_owned();
            residues.push(Residue { what, days: Some(BIN_DAYS) });
        }
        Ok(residues)
    }

    /// A note of which only the beginning is known, with the contact that was found before.
    async fn begun(&self, row: &Row, rows: &[Row]) -> Result<Option<String>, Failed> {
        let is_it = |other: &&Row| other.revision == row.revision && other.record.ends_with("contact");
        let contact = rows.iter().filter(is_it).find_map(|other| match &other.state {
            RowState::Done(id) => id.split_once('/'),
            RowState::Begun => None,
        });
        let Some((module, id)) = contact else {
            tracing::warn!("a note of an erased media has no known end, and its record is not known");
            return Ok(None);
        };
        let contact = Contact { module: module.to_owned(), id: id.to_owned() };
        Ok(self.find_note(&contact, &marker(&row.event_id)).await?.map(|(id, _)| id))
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
