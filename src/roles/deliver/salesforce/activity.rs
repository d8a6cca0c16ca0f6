//! Tasks, and records of the own object.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::amendment::{Amendment, Written};
use super::super::call::Call;
use super::super::destination::{Applied, Failed, Ids, Work};
use super::super::map::{Prepared, media_key, take};
use super::{Salesforce, contact, find, record};
use crate::egress::Method;

/// Longest subject and description of a task, in UTF-16 code units.
const MAX_SUBJECT: usize = 255;
const MAX_DESCRIPTION: usize = 32_000;

impl Salesforce {
    /// A task that is done. `CallObject`, a text that can be queried, holds the marker.
    pub(super) fn create_task(&self, work: &Work<'_>, prepared: &Prepared, ids: &Ids) -> Call {
        let activity = &prepared.activity;
        let mut task = Map::new();
        let mut put = |name: &str, value: Value| drop(task.insert(name.to_owned(), value));
        put("Status", "Completed".into());
        if let Some(time) = time(work, prepared) {
            put("ActivityDate", time.strftime("%Y-%m-%d").to_string().into());
        }
        let who = contact(ids).filter(|_| !prepared.matches.is_empty());
        // A task of a lead can stand with nothing else.
        let is_lead = who.as_deref().and_then(find::object_of) == Some("Lead");
        if let Some((_, id)) = prepared.objects.first().filter(|_| !is_lead) {
            put("WhatId", id.clone().into());
        }
        if let Some(id) = who {
            put("WhoId", id.into());
        }
        task.extend(record(activity.fields.iter()));
        task.insert("Subject".to_owned(), take(&activity.title, MAX_SUBJECT).into());
        task.insert("Description".to_owned(), take(&activity.body, MAX_DESCRIPTION).into());
        task.insert("CallObject".to_owned(), work.marker.clone().into());
        Call::json(Method::Post, self.data("sobjects/Task"), task.into())
    }

    /// The record of the media, by its key. The key stands in the path only.
    pub(super) fn upsert_media(&self, work: &Work<'_>, prepared: &Prepared, ids: &Ids) -> Call {
        let activity = &prepared.activity;
        let mut media = Map::new();
        if let Some(id) = contact(ids).filter(|_| !prepared.matches.is_empty()) {
            let field = if find::object_of(&id) == Some("Lead") { "Lead__c" } else { "Contact__c" };
            media.insert(field.to_owned(), id.into());
        }
        for (object, id) in &prepared.objects {
            media.insert(format!("{}__c", object.trim_end_matches("__c")), id.clone().into());
        }
        if !activity.title.is_empty() {
            media.insert("Name".to_owned(), take(&activity.title, 80).into());
        }
        media.insert("Summary__c".to_owned(), take(&activity.body, MAX_DESCRIPTION).into());
        if let Some(time) = time(work, prepared) {
            media.insert("Received_At__c".to_owned(), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
        }
        media.extend(record(activity.fields.iter()));
        let key = media_key(&work.subject.tenant, &work.subject.media_id);
        let path = format!("sobjects/Mediamill_Media__c/Media_Key__c/{key}");
        Call::json(Method::Patch, self.data(&path), media.into())
    }

    /// Adds to the text of a task or an own record. What somebody writes between the two requests is lost.
    pub(super) async fn amend_record(&self, note: Written<'_>, amendment: &Amendment) -> Result<Applied, Failed> {
        let (object, field) = match note.record {
            "media" => ("Mediamill_Media__c", "Summary__c"),
            _ => ("Task", "Description"),
        };
        let url = self.data(&format!("sobjects/{object}/{}", note.id));
        let read = self.done(&Call::new(Method::Get, format!("{url}?fields={field}")), false).await?;
        let body = read.get(field).and_then(Value::as_str).unwrap_or_default();
        if let Some(body) = amendment.merged(body, MAX_DESCRIPTION)? {
            self.done(&Call::json(Method::Patch, url, json!({ field: body })), false).await?;
        }
        Ok(Applied::Done(note.id.to_owned()))
    }

    /// The task with this marker.
    pub(super) async fn find_task(&self, marker: &str) -> Result<Option<String>, Failed> {
        let marker = find::quoted(marker);
        let call = self.query(&format!("SELECT Id FROM Task WHERE CallObject = {marker} ORDER BY CreatedDate LIMIT 1"));
        Ok(first_id(&self.done(&call, false).await?))
    }
}

/// The id of the first record of a query's answer.
pub(super) fn first_id(body: &Value) -> Option<String> {
    body.pointer("/records/0/Id").and_then(Value::as_str).filter(|id| find::is_id(id)).map(str::to_owned)
}

fn time(work: &Work<'_>, prepared: &Prepared) -> Option<Timestamp> {
    let text = prepared.activity.time.as_deref().or(work.event.time.as_deref())?;
    text.parse().ok()
}
