//! Notes and files.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::amendment::{Amendment, Written};
use super::super::call::Call;
use super::super::destination::{Applied, Failed, Ids, ReadBack, Work};
use super::super::map::{Attachment, Prepared};
use super::{Hubspot, contact, properties, unknown_step};
use crate::egress::Method;

/// Longest body of a note, in UTF-16 code units (which unit HubSpot counts is not documented).
const MAX_BODY: usize = 65_536;
/// HubSpot's own association of a note with a contact. The only one that is written by its number: with it, the note stands on
/// the contact from the moment on that it exists, so that it can be read back there.
const NOTE_TO_CONTACT: u32 = 202;
/// Notes of a contact that are looked at: the newest.
const MAX_NOTES: usize = 500;
/// Records of one batch.
const BATCH: usize = 100;

impl Hubspot {
    pub(super) fn create_note(&self, work: &Work<'_>, prepared: &Prepared, ids: &Ids) -> Result<Call, Failed> {
        let activity = &prepared.activity;
        let mut body = activity.body.clone();
        if !body.contains(&work.marker) {
            body.push_str(&format!("<p><small>{}</small></p>", work.marker));
        }
        if body.encode_utf16().count() > MAX_BODY {
            return Err(Failed::mapping(format!("activity.body has more than the {MAX_BODY} characters of a note")));
        }
        let time = activity.time.as_deref().or(work.event.time.as_deref());
        let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).unwrap_or_default();
        let files: Vec<String> =
            prepared.files.iter().filter_map(|file| ids.get(&format!("file:{}", file.role), "upload")).collect();
        let mut fields = activity.fields.clone();
        fields.push(("hs_timestamp".to_owned(), Value::from(format!("{:.3}", time))));
        fields.push(("hs_note_body".to_owned(), Value::from(body)));
        if !files.is_empty() {
            // One text with semicolons: an array is refused.
            fields.push(("hs_attachment_ids".to_owned(), Value::from(files.join(";"))));
        }
        let mut note = json!({ "properties": properties(fields.iter()) });
        if let Some(id) = contact(ids).filter(|_| !prepared.matches.is_empty()) {
            note["associations"] = json!([{
                "to": { "id": id },
                "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": NOTE_TO_CONTACT }],
            }]);
        }
        Ok(Call::json(Method::Post, self.objects("notes"), note))
    }

    /// Puts the note on another record, too. Doing it twice is the same as doing it once.
    pub(super) fn associate(&self, object: &str, prepared: &Prepared, ids: &Ids) -> Result<Call, Failed> {
        let id = prepared.objects.iter().find(|(name, _)| name == object).map(|(_, id)| id).ok_or_else(unknown_step)?;
        let note = ids.get("note", "create").ok_or_else(unknown_step)?;
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = format!("notes/{note}/associations/default/{}/{}", escape(object), escape(id));
        Ok(Call::new(Method::Put, self.objects(&path)))
    }

    /// Adds to the text of a note. What somebody writes between the two requests is lost.
    pub(super) async fn amend_note(&self, note: Written<'_>, amendment: &Amendment) -> Result<Applied, Failed> {
        let url = self.objects(&format!("notes/{}", note.id));
        let read = self.done(&Call::new(Method::Get, format!("{url}?properties=hs_note_body")), false).await?;
        let body = read.pointer("/properties/hs_note_body").and_then(Value::as_str).unwrap_or_default();
        if let Some(body) = amendment.merged(body, MAX_BODY)? {
            let change = json!({ "properties": { "hs_note_body": body } });
            self.done(&Call::json(Method::Patch, url, change), false).await?;
        }
        Ok(Applied::Done(note.id.to_owned()))
    }

    /// The note that ends with this marker: among those of the contact, or where there is none, by a search.
    pub(super) async fn find_note(&self, contact: Option<&str>, marker: &str) -> Result<ReadBack, Failed> {
        let notes = match contact {
            Some(id) => self.notes_of(id).await?,
            None => self.search_notes(marker).await?,
        };
        let is_it = |note: &&Value| {
            note.pointer("/properties/hs_note_body").and_then(Value::as_str).is_some_and(|body| body.contains(marker))
        };
        let id = notes.iter().find(is_it).and_then(|note| note.get("id")).and_then(Value::as_str);
        Ok(id.map_or(ReadBack::NotThere, |id| ReadBack::Found(id.to_owned())))
    }

    async fn notes_of(&self, contact: &str) -> Result<Vec<Value>, Failed> {
        let call = Call::new(Method::Get, self.objects(&format!("contacts/{contact}/associations/notes?limit=500")));
        let body = self.done(&call, false).await?;
        let id = |found: &Value| match found.get("toObjectId").or_else(|| found.get("id")) {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let mut ids: Vec<String> =
            body.get("results").and_then(Value::as_array).into_iter().flatten().filter_map(id).collect();
        // Ids grow: the newest notes first.
        ids.sort_unstable_by_key(|id| std::cmp::Reverse((id.len(), id.clone())));
        ids.truncate(MAX_NOTES);
        let mut notes = Vec::new();
        for some in ids.chunks(BATCH) {
            let inputs: Vec<Value> = some.iter().map(|id| json!({ "id": id })).collect();
            let body = json!({ "inputs": inputs, "properties": ["hs_note_body"], "propertiesWithHistory": [] });
            let read = self.done(&Call::json(Method::Post, self.objects("notes/batch/read"), body), false).await?;
            notes.extend(read.get("results").and_then(Value::as_array).into_iter().flatten().cloned());
        }
        Ok(notes)
    }

    async fn search_notes(&self, marker: &str) -> Result<Vec<Value>, Failed> {
        let word = marker.rsplit(' ').next().unwrap_or(marker);
        let filters = json!([{ "propertyName": "hs_note_body", "operator": "CONTAINS_TOKEN", "value": word }]);
        let body = json!({
            "filterGroups": [{ "filters": filters }],
            "properties": ["hs_note_body"],
            "sorts": [],
            "limit": 20,
            "after": "0",
        });
        let found = self.done(&Call::json(Method::Post, self.objects("notes/search"), body), false).await?;
        Ok(found.get("results").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// The file of this name: it stands for one media and one content.
    pub(super) async fn find_file(&self, attachment: &Attachment) -> Result<ReadBack, Failed> {
        let name = &attachment.file.file_name;
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let found = self.files_named(stem).await?.into_iter().next();
        Ok(found.map_or(ReadBack::NotThere, ReadBack::Found))
    }

    /// Ids of the files whose names begin with this.
    pub(super) async fn files_named(&self, stem: &str) -> Result<Vec<String>, Failed> {
        let escaped = utf8_percent_encode(stem, NON_ALPHANUMERIC).to_string();
        let found = self.done(&Call::new(Method::Get, self.files(&format!("/search?name={escaped}"))), false).await?;
        let files = found.get("results").and_then(Value::as_array).into_iter().flatten();
        let is_it = |file: &&Value| file.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with(stem));
        Ok(files.filter(is_it).filter_map(|file| file.get("id")?.as_str().map(str::to_owned)).collect())
    }
}
