//! Removes what is there of an erased media: comments are redacted for good, and so are their files. Nothing goes into a bin.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::destination::{Failed, Residue};
use super::super::ledger::{Row, RowState};
use super::super::marker::marker;
use super::Zendesk;
use crate::egress::Method;
use crate::error::Code;

/// What stands in the place of a file that was redacted.
const REDACTED: &str = "redacted.txt";

impl Zendesk {
    pub(super) async fn erase_rows(&self, rows: &[Row]) -> Result<Vec<Residue>, Failed> {
        let mut residues = Vec::new();
        for row in rows {
            let record = row.record.rsplit('/').next().unwrap_or_default();
            let ticket = match (record, row.step.as_str(), &row.state) {
                ("ticket", "create", RowState::Done(id)) => Some(id.clone()),
                ("ticket", "create", RowState::Begun) => self.find_made_ticket(&row.event_id).await?,
                ("comment", "create", RowState::Done(id)) => id.split_once('/').map(|(ticket, _)| ticket.to_owned()),
                // The ticket of a comment that only began is the one that was found before.
                ("comment", "create", RowState::Begun) => rows.iter().find_map(|other| match &other.state {
                    // Or the one that was made.
                    RowState::Done(id)
                        if other.revision == row.revision && ["find", "create"].contains(&other.step.as_str()) =>
                    {
                        other.record.ends_with("ticket").then(|| id.clone())
                    }
                    _ => None,
                }),
                _ => None,
            };
            if let Some(ticket) = ticket {
                residues.extend(self.erase_comment(&ticket, row).await?);
            }
        }
        Ok(residues)
    }

    /// Redacts the comment that came with the event of this row.
    async fn erase_comment(&self, ticket: &str, row: &Row) -> Result<Vec<Residue>, Failed> {
        let known = match &row.state {
            RowState::Done(id) => id.split_once('/').and_then(|(_, comment)| comment.parse::<u64>().ok()),
            RowState::Begun => None,
        };
        let words = marker(&row.event_id);
        let url = self.path(&format!("tickets/{ticket}/comments?include_inline_images=true"));
        let Some(body) = self.unless_gone(&Call::new(Method::Get, url)).await? else { return Ok(Vec::new()) };
        let comments = body.get("comments").and_then(Value::as_array);
        let id_of = |comment: &Value| comment.get("id").and_then(Value::as_u64);
        let text_of = |comment: &Value| comment.get("html_body").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_it = |comment: &&Value| match known {
            Some(id) => id_of(comment) == Some(id),
            None => text_of(comment).contains(&words),
        };
        let mut residues = Vec::new();
        for comment in comments.into_iter().flatten().filter(is_it) {
            let Some(id) = id_of(comment) else { continue };
            // Files first: afterwards the comment's text no longer tells whose it was.
            let files = comment.get("attachments").and_then(Value::as_array);
            for file in files.into_iter().flatten() {
                let name = file.get("file_name").and_then(Value::as_str);
                if let Some(file) = file.get("id").and_then(Value::as_u64).filter(|_| name != Some(REDACTED)) {
                    residues.extend(self.redact_file(ticket, id, file).await?);
                }
            }
            let html = format!("<redact>{}</redact>", text_of(comment));
            let body = json!({ "ticket_id": ticket.parse::<u64>().unwrap_or_default(), "html_body": html });
            self.unless_gone(&Call::json(Method::Put, self.path(&format!("comment_redactions/{id}")), body)).await?;
        }
        Ok(residues)
    }

    async fn redact_file(&self, ticket: &str, comment: u64, file: u64) -> Result<Option<Residue>, Failed> {
        let url = self.path(&format!("tickets/{ticket}/comments/{comment}/attachments/{file}/redact"));
        let answer = self.call(&Call::json(Method::Put, url, json!({})), false).await?;
        if super::judge::is_closed(&answer) {
            // It goes with the ticket, which people delete.
            let what = "a file in a closed ticket of Zendesk, until the ticket is deleted".to_owned();
            return Ok(Some(Residue { what, days: None }));
        }
        let is_gone = answer.is_success() || answer.status == 404;
        if is_gone { Ok(None) } else { Err(super::judge::failed(&answer, false)) }
    }

    /// The answer's body; nothing where what it is about is gone.
    async fn unless_gone(&self, call: &Call) -> Result<Option<Value>, Failed> {
        match self.done(call, false).await {
            Ok(body) => Ok(Some(body)),
            Err(failed) if failed.code == Code::DeliverNoRecord => Ok(None),
            Err(failed) => Err(failed),
        }
    }
}
