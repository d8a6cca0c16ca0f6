//! Removes what is there of an erased media.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::destination::{Failed, Residue};
use super::super::ledger::{MediaKey, Row, RowState};
use super::super::map::file_stem;
use super::super::marker::marker;
use super::{Salesforce, find};
use crate::egress::Method;
use crate::error::Code;

/// How long deleted records and files stay in the recycle bin.
const BIN_DAYS: u32 = 15;

impl Salesforce {
    /// Empties tasks and own records, and deletes them; deletes documents with all their versions.
    pub(super) async fn erase_rows(&self, media: MediaKey<'_>, rows: &[Row]) -> Result<Vec<Residue>, Failed> {
        let mut residues = Vec::new();
        let mut residue = |what: &str| residues.push(Residue { what: what.to_owned(), days: Some(BIN_DAYS) });
        for row in rows {
            let known = match &row.state {
                RowState::Done(id) => Some(id.clone()).filter(|id| find::is_id(id)),
                RowState::Begun => None,
            };
            let record = row.record.rsplit('/').next().unwrap_or_default();
            match (record, row.step.as_str()) {
                ("task", "create") => {
                    let id = match known {
                        Some(id) => Some(id),
                        None => self.find_task(&marker(&row.event_id)).await?,
                    };
                    if let Some(id) = id {
                        let empty = json!({ "Subject": "erased", "Description": null });
                        self.delete(&format!("sobjects/Task/{id}"), Some(empty)).await?;
                        residue("an emptied task in the recycle bin of Salesforce");
                    }
                }
                ("media", "upsert") => {
                    if let Some(id) = known {
                        let empty = json!({ "Name": "erased", "Summary__c": null });
                        self.delete(&format!("sobjects/Mediamill_Media__c/{id}"), Some(empty)).await?;
                        residue("an emptied record in the recycle bin of Salesforce");
                    }
                }
                (_, "upload") => {
                    let condition = match known {
                        Some(version) => format!("Id = {}", find::quoted(&version)),
                        // The upload may have arrived: its file has the media's name.
                        None => format!("Title LIKE '{}%'", file_stem(media.tenant, media.media_id)),
                    };
                    for document in self.documents(&condition).await? {
                        self.delete(&format!("sobjects/ContentDocument/{document}"), None).await?;
                        residue("a file in the recycle bin of Salesforce");
                    }
                }
                _ => {}
            }
        }
        Ok(residues)
    }

    /// The documents of versions for which this holds.
    async fn documents(&self, condition: &str) -> Result<Vec<String>, Failed> {
        let call = self.query(&format!("SELECT ContentDocumentId FROM ContentVersion WHERE {condition}"));
        let body = self.done(&call, false).await?;
        let versions = body.get("records").and_then(Value::as_array);
        let ids = versions
            .into_iter()
            .flatten()
            .filter_map(|version| version.get("ContentDocumentId").and_then(Value::as_str));
        let mut ids: Vec<String> = ids.filter(|id| find::is_id(id)).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// What goes into the bin says nothing; what is gone already is fine.
    async fn delete(&self, path: &str, empty: Option<Value>) -> Result<(), Failed> {
        if let Some(empty) = empty {
            self.gone(&Call::json(Method::Patch, self.data(path), empty)).await?;
        }
        self.gone(&Call::new(Method::Delete, self.data(path))).await
    }

    async fn gone(&self, call: &Call) -> Result<(), Failed> {
        match self.done(call, false).await {
            Ok(_) => Ok(()),
            // An object or a record that is not there.
            Err(failed) if failed.code == Code::DeliverNoRecord => Ok(()),
            Err(failed) => Err(failed),
        }
    }
}
