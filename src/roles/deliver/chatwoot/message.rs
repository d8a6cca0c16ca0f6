//! Messages with their files, labels, and their removal.

use serde_json::{Value, json};

use super::super::amendment::{Amendment, Written};
use super::super::call::{Body, Call, Part};
use super::super::destination::{Applied, Failed, Residue, Work};
use super::super::ledger::{Row, RowState};
use super::super::map::{Prepared, take};
use super::super::marker::marker;
use super::Chatwoot;
use crate::egress::Method;
use crate::error::Code;

/// Longest text of a message, in characters.
const MAX_TEXT: usize = 150_000;
/// Pages of 20 messages that are read back.
const MAX_PAGES: u32 = 10;

impl Chatwoot {
    /// Text and files in one request. Private unless the map says otherwise: else it would be sent to the customer.
    pub(super) fn create_message(&self, work: &Work<'_>, prepared: &Prepared, id: &str) -> Result<Call, Failed> {
        let activity = &prepared.activity;
        let mut text = activity.body.clone();
        if !text.contains(&work.marker) {
            text.push_str(&format!("\n\n{}", work.marker));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(Failed::mapping(format!("activity.body has more than the {MAX_TEXT} characters of a message")));
        }
        let private = if activity.is_public { "false" } else { "true" };
        let mut parts =
            vec![Part::text("content", text), Part::text("private", private), Part::text("message_type", "outgoing")];
        parts.extend(prepared.files.iter().map(|file| Part::file("attachments[]", file.file.clone())));
        let url = self.path(&format!("conversations/{id}/messages"));
        Ok(Call { body: Body::Multipart(parts), ..Call::new(Method::Post, url) })
    }

    /// A private message in the conversation of another one: messages cannot be changed.
    pub(super) async fn add_message(&self, note: Written<'_>, amendment: &Amendment) -> Result<Applied, Failed> {
        let talk = note.id.split('/').next().unwrap_or_default();
        let text = take(&amendment.alone(), MAX_TEXT);
        let parts =
            vec![Part::text("content", text), Part::text("private", "true"), Part::text("message_type", "outgoing")];
        let url = self.path(&format!("conversations/{talk}/messages"));
        let call = Call { body: Body::Multipart(parts), ..Call::new(Method::Post, url) };
        message_id(talk, &self.done(&call, true).await?)
    }

    /// The message with this marker, among the newest of the conversation.
    pub(super) async fn find_message(&self, conversation: &str, marker: &str) -> Result<Option<u64>, Failed> {
        let mut before = None;
        for _ in 0..MAX_PAGES {
            let older = before.map(|id: u64| format!("?before={id}")).unwrap_or_default();
            let url = self.path(&format!("conversations/{conversation}/messages{older}"));
            let body = self.done(&Call::new(Method::Get, url), false).await?;
            let messages = body.get("payload").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let id = |message: &Value| message.get("id").and_then(Value::as_u64);
            let text = |message: &Value| message.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(found) = messages.iter().find(|message| text(message).contains(marker)) {
                return Ok(id(found));
            }
            let first = messages.iter().filter_map(id).min();
            if first.is_none() || first == before {
                break;
            }
            before = first;
        }
        Ok(None)
    }

    pub(super) fn read_labels(&self, id: &str) -> Call {
        Call::new(Method::Get, self.path(&format!("conversations/{id}/labels")))
    }

    pub(super) fn write_labels(&self, id: &str, labels: &[String]) -> Call {
        Call::json(Method::Post, self.path(&format!("conversations/{id}/labels")), json!({ "labels": labels }))
    }

    /// Labels are written as a whole: those that are there stay. What somebody adds between the two requests is lost.
    pub(super) async fn add_labels(&self, prepared: &Prepared, id: &str) -> Result<Applied, Failed> {
        let body = self.done(&self.read_labels(id), false).await?;
        let known = body.get("payload").and_then(Value::as_array);
        let known: Vec<String> = known.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let new: Vec<String> = prepared.tags.iter().filter(|tag| !known.contains(tag)).cloned().collect();
        if !new.is_empty() {
            let all: Vec<String> = known.into_iter().chain(new).collect();
            self.done(&self.write_labels(id, &all), false).await?;
        }
        Ok(Applied::Done(String::new()))
    }

    /// Deletes messages: Chatwoot leaves a message that says so, without text and files. Nothing goes into a bin.
    pub(super) async fn erase_rows(&self, rows: &[Row]) -> Result<Vec<Residue>, Failed> {
        for row in rows.iter().filter(|row| row.step == "create" && row.record.ends_with("message")) {
            let found = match &row.state {
                RowState::Done(id) => id.split_once('/').map(|(talk, message)| (talk.to_owned(), message.to_owned())),
                RowState::Begun => self.begun(row, rows).await?,
            };
            let Some((talk, message)) = found else { continue };
            let call = Call::new(Method::Delete, self.path(&format!("conversations/{talk}/messages/{message}")));
            match self.done(&call, false).await {
                Ok(_) => {}
                Err(failed) if failed.code == Code::DeliverNoRecord => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(Vec::new())
    }

    /// A message of which only the beginning is known, in the conversation that was found before.
    async fn begun(&self, row: &Row, rows: &[Row]) -> Result<Option<(String, String)>, Failed> {
        let is_it = |other: &&Row| other.revision == row.revision && other.record.ends_with("conversation");
        let talk = rows.iter().filter(is_it).find_map(|other| match &other.state {
            RowState::Done(id) => Some(id.clone()),
            RowState::Begun => None,
        });
        let Some(talk) = talk else {
            tracing::warn!("a message of an erased media has no known end, and its conversation is not known");
            return Ok(None);
        };
        let message = self.find_message(&talk, &marker(&row.event_id)).await?;
        Ok(message.map(|message| (talk, message.to_string())))
    }
}

/// The conversation and the message that an answer tells of.
pub(super) fn message_id(talk: &str, body: &Value) -> Result<Applied, Failed> {
    let message = body.get("id").and_then(Value::as_u64).ok_or_else(|| {
        let text = "Chatwoot answers without the id of the message";
        Failed::transient(Code::DeliverUnavailable, text).unknown()
    })?;
    Ok(Applied::Done(format!("{talk}/{message}")))
}
