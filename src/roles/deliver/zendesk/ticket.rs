//! Tickets and comments, with their files.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::super::amendment::{Amendment, Written};
use super::super::call::{Body, Call};
use super::super::destination::{Applied, Class, Failed, Ids, Work};
use super::super::map::{Attachment, Prepared, take};
use super::{Zendesk, body_of, contact, find, id_at, judge, remote_id, stale, unknown_step};
use crate::egress::{Answer, Method};
use crate::error::Code;

/// Longest comment, in UTF-16 code units.
const MAX_COMMENT: usize = 65_000;
/// Longest subject that is sent.
const MAX_SUBJECT: usize = 150;
/// Fields of a ticket that have a name of their own. All others are custom ones, named by their title or number.
const OWN_FIELDS: [&str; 9] =
    ["assignee_id", "brand_id", "due_at", "group_id", "priority", "problem_id", "status", "ticket_form_id", "type"];

/// What a comment or a ticket needs besides the event: tokens of uploads, and numbers of fields by their titles.
pub(super) struct Parts {
    uploads: Vec<String>,
    numbers: BTreeMap<String, u64>,
    /// Whether unknown fields are shown by their titles.
    is_shown: bool,
}

impl Zendesk {
    /// A ticket of the user, or one that follows a closed one.
    pub(super) fn ticket_call(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        ids: &Ids,
        parts: &Parts,
    ) -> Result<Call, Failed> {
        let event_id = &work.subject.event_id;
        let mut ticket = fields(prepared, parts)?;
        ticket.insert("subject".to_owned(), take(&prepared.activity.title, MAX_SUBJECT).into());
        ticket.insert("external_id".to_owned(), find::external_id(event_id).into());
        ticket.insert("comment".to_owned(), comment(work, prepared, parts)?);
        ticket.insert("metadata".to_owned(), json!({ "mediamill_event": event_id }));
        if !prepared.tags.is_empty() {
            ticket.insert("tags".to_owned(), json!(prepared.tags));
        }
        if let Some((_, source)) = prepared.objects.first() {
            ticket.insert("via_followup_source_id".to_owned(), number(source));
        } else if let Some(id) = contact(ids) {
            ticket.insert("requester_id".to_owned(), number(&id));
        } else {
            return Err(unknown_step());
        }
        let call = Call::json(Method::Post, self.path("tickets"), json!({ "ticket": ticket }));
        // For two hours Zendesk itself makes no second one.
        Ok(call.header("idempotency-key", event_id.clone()))
    }

    pub(super) async fn create_ticket(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        ids: &Ids,
    ) -> Result<Applied, Failed> {
        let parts = self.parts(prepared).await?;
        let answer = self.call(&self.ticket_call(work, prepared, ids, &parts)?, true).await?;
        if find::came_before(&answer) {
            // Its files had other tokens: the ticket is there.
            let made = self.find_made_ticket(&work.subject.event_id).await?;
            return made.map(Applied::Done).ok_or_else(|| judge::failed(&answer, true));
        }
        if !answer.is_success() {
            return Err(stale(judge::failed(&answer, true)));
        }
        id_at(&body_of(&answer), "/ticket/id").map(Applied::Done)
    }

    /// One comment in a ticket: with its files, since those cannot be added later.
    pub(super) fn comment_call(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        ticket: &str,
        parts: &Parts,
    ) -> Result<Call, Failed> {
        let mut change = fields(prepared, parts)?;
        change.insert("comment".to_owned(), comment(work, prepared, parts)?);
        change.insert("metadata".to_owned(), json!({ "mediamill_event": work.subject.event_id }));
        Ok(Call::json(Method::Put, self.path(&format!("tickets/{ticket}")), json!({ "ticket": change })))
    }

    pub(super) async fn create_comment(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        ticket: &str,
    ) -> Result<Applied, Failed> {
        let parts = self.parts(prepared).await?;
        let answer = self.call(&self.comment_call(work, prepared, ticket, &parts)?, true).await?;
        if judge::is_closed(&answer) {
            // Closed since it was read: the event comes again, and gets a follow-up.
            let text = "the ticket has been closed meanwhile";
            return Err(Failed::new(Class::Stale, Code::DeliverNoRecord, text));
        }
        comment_id(ticket, &answer).map_err(stale)
    }

    /// A private comment in the ticket of another one: comments cannot be changed.
    pub(super) async fn add_comment(&self, note: Written<'_>, amendment: &Amendment) -> Result<Applied, Failed> {
        let ticket = note.id.split('/').next().unwrap_or_default();
        let body = amendment.alone();
        let text = if amendment.is_html {
            json!({ "html_body": body, "public": false })
        } else {
            json!({ "body": body, "public": false })
        };
        let change = json!({ "comment": text, "metadata": { "mediamill_event": amendment.event_id } });
        let call = Call::json(Method::Put, self.path(&format!("tickets/{ticket}")), json!({ "ticket": change }));
        let answer = self.call(&call, true).await?;
        if judge::is_closed(&answer) {
            let text = "the ticket of the comment that this belongs to is closed";
            return Err(Failed::new(Class::Park, Code::DeliverNoRecord, text));
        }
        comment_id(ticket, &answer)
    }

    /// Adds tags. A list in the ticket itself would replace those of others.
    pub(super) fn add_tags(&self, prepared: &Prepared, ticket: &str) -> Call {
        Call::json(Method::Put, self.path(&format!("tickets/{ticket}/tags")), json!({ "tags": prepared.tags }))
    }

    /// Uploads the files and looks up fields. An upload that no comment takes ends by itself.
    async fn parts(&self, prepared: &Prepared) -> Result<Parts, Failed> {
        let custom = prepared.activity.fields.iter().any(|(name, _)| is_title(name));
        let numbers = if custom { self.field_numbers().await?.clone() } else { BTreeMap::new() };
        let mut uploads = Vec::new();
        for file in &prepared.files {
            let body = self.done(&self.upload(file), false).await?;
            let token = body.pointer("/upload/token").and_then(Value::as_str).map(str::to_owned);
            let nameless =
                || Failed::transient(Code::DeliverUnavailable, "Zendesk answers without the token of an upload");
            uploads.push(token.ok_or_else(nameless)?);
        }
        Ok(Parts { uploads, numbers, is_shown: false })
    }

    /// The upload of a file: players go by its type and its extension.
    fn upload(&self, attachment: &Attachment) -> Call {
        let name = utf8_percent_encode(&attachment.file.file_name, NON_ALPHANUMERIC);
        let call = Call::new(Method::Post, self.path(&format!("uploads?filename={name}")));
        Call { body: Body::File(attachment.file.clone()), ..call }
    }

    async fn field_numbers(&self) -> Result<&BTreeMap<String, u64>, Failed> {
        self.fields
            .get_or_try_init(|| async {
                let body = self.done(&Call::new(Method::Get, self.path("ticket_fields")), false).await?;
                let fields = body.get("ticket_fields").and_then(Value::as_array);
                let one = |field: &Value| {
                    let title = field.get("title").and_then(Value::as_str)?.to_lowercase();
                    Some((title, field.get("id").and_then(Value::as_u64)?))
                };
                Ok(fields.into_iter().flatten().filter_map(one).collect())
            })
            .await
    }

    /// For requests that are shown and not sent.
    pub(super) fn shown(&self, prepared: &Prepared) -> Parts {
        let uploads = prepared.files.iter().map(|file| format!("{{file:{}}}", file.role)).collect();
        Parts { uploads, numbers: BTreeMap::new(), is_shown: true }
    }

    /// The uploads of a call, and the call.
    pub(super) fn shown_with_uploads(&self, prepared: &Prepared, call: Call) -> Vec<Call> {
        prepared.files.iter().map(|file| self.upload(file)).chain([call]).collect()
    }
}

/// The ticket and the comment that an answer tells of.
fn comment_id(ticket: &str, answer: &Answer) -> Result<Applied, Failed> {
    if !answer.is_success() {
        return Err(judge::failed(answer, true));
    }
    let comment = body_of(answer).get("audit").and_then(find::comment_of);
    let comment = comment.ok_or_else(|| {
        Failed::transient(Code::DeliverUnavailable, "Zendesk answers without the id of the comment").unknown()
    })?;
    Ok(Applied::Done(remote_id(ticket, comment)))
}

/// The comment: private unless the map says otherwise, since a public one is a mail to the customer.
fn comment(work: &Work<'_>, prepared: &Prepared, parts: &Parts) -> Result<Value, Failed> {
    let activity = &prepared.activity;
    let mut body = activity.body.clone();
    if !body.contains(&work.marker) {
        body.push_str(&format!("<p><small>{}</small></p>", work.marker));
    }
    if body.encode_utf16().count() > MAX_COMMENT {
        return Err(Failed::mapping(format!("activity.body has more than the {MAX_COMMENT} characters of a comment")));
    }
    let mut comment = json!({ "html_body": body, "public": activity.is_public });
    if !parts.uploads.is_empty() {
        // Inside the comment: on the ticket itself they are ignored without a word.
        comment["uploads"] = json!(parts.uploads);
    }
    Ok(comment)
}

/// Fields of the ticket: own ones by name, custom ones by number.
fn fields(prepared: &Prepared, parts: &Parts) -> Result<Map<String, Value>, Failed> {
    let mut ticket = Map::new();
    let mut custom = Vec::new();
    for (name, value) in &prepared.activity.fields {
        if OWN_FIELDS.contains(&name.as_str()) {
            ticket.insert(name.clone(), value.clone());
            continue;
        }
        let id = if !is_title(name) {
            number(name)
        } else if parts.is_shown {
            Value::from(format!("{{{name}}}"))
        } else {
            let id = parts.numbers.get(&name.to_lowercase()).copied();
            id.map(Value::from)
                .ok_or_else(|| Failed::mapping(format!("activity.fields: Zendesk has no ticket field {name:?}")))?
        };
        custom.push(json!({ "id": id, "value": value }));
    }
    if !custom.is_empty() {
        ticket.insert("custom_fields".to_owned(), custom.into());
    }
    Ok(ticket)
}

/// Whether it is a field of every ticket, and no custom one.
pub(super) fn is_own(name: &str) -> bool {
    OWN_FIELDS.contains(&name)
}

fn is_title(name: &str) -> bool {
    !is_own(name) && !name.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
}
