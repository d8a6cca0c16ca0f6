//! Notes, their files, and tags.

use serde_json::{Value, json};

use super::super::amendment::{Amendment, Written};
use super::super::call::{Body, Call, Part};
use super::super::destination::{Applied, Class, Failed, Ids, Work};
use super::super::map::{Attachment, Prepared, take};
use super::{Contact, Zoho, body, judge, parent, record, stale};
use crate::egress::Method;
use crate::error::Code;

/// Longest title and text of a note (unverified).
const MAX_TITLE: usize = 120;
const MAX_TEXT: usize = 32_000;
/// Longest tag.
const MAX_TAG: usize = 25;
/// Notes of a record that are looked at, in pages of 200.
const MAX_PAGES: u32 = 5;

impl Zoho {
    pub(super) fn note_call(&self, work: &Work<'_>, prepared: &Prepared, parent: &Contact) -> Call {
        let activity = &prepared.activity;
        let mut text = activity.body.clone();
        if !text.contains(&work.marker) {
            text = format!("{}\n{}", take(&text, MAX_TEXT.saturating_sub(work.marker.len() + 1)), work.marker);
        }
        let mut note = record(activity.fields.iter());
        note.insert("Note_Title".to_owned(), take(&activity.title, MAX_TITLE).into());
        note.insert("Note_Content".to_owned(), text.into());
        note.insert("Parent_Id".to_owned(), json!({ "module": { "api_name": parent.module }, "id": parent.id }));
        Call::json(Method::Post, self.path("Notes"), body(note.into()))
    }

    pub(super) async fn create_note(&self, work: &Work<'_>, prepared: &Prepared, ids: &Ids) -> Result<Applied, Failed> {
        let call = self.note_call(work, prepared, &parent(prepared, ids)?);
        judge::id_of(&self.done(&call, true).await.map_err(stale)?).map(Applied::Done)
    }

    /// Adds to the text of a note. What somebody writes between the two requests is lost.
    pub(super) async fn amend_note(&self, note: Written<'_>, amendment: &Amendment) -> Result<Applied, Failed> {
        let url = self.path(&format!("Notes/{}", note.id));
        let read = self.done(&Call::new(Method::Get, format!("{url}?fields=id,Note_Content")), false).await?;
        // A note that is gone has an answer without a body.
        let known = read.pointer("/data/0").ok_or_else(|| {
            Failed::new(Class::Park, Code::DeliverNoRecord, "the note that this belongs to is no longer in Zoho CRM")
        })?;
        let text = known.get("Note_Content").and_then(Value::as_str).unwrap_or_default();
        if let Some(text) = amendment.merged(text, MAX_TEXT)? {
            self.done(&Call::json(Method::Put, url, body(json!({ "Note_Content": text }))), false).await?;
        }
        Ok(Applied::Done(note.id.to_owned()))
    }

    /// The file stands with the note, which stands with the record.
    pub(super) fn upload(&self, attachment: &Attachment, note: &str) -> Call {
        let parts = vec![Part::file("file", attachment.file.clone())];
        let url = self.path(&format!("Notes/{note}/Attachments"));
        Call { body: Body::Multipart(parts), ..Call::new(Method::Post, url) }
    }

    /// Adds tags and takes none away. Names are cut to what Zoho takes.
    pub(super) fn add_tags(&self, prepared: &Prepared, record: &Contact) -> Call {
        let tags: Vec<Value> = prepared.tags.iter().map(|tag| json!({ "name": take(tag, MAX_TAG) })).collect();
        let url = self.path(&format!("{}/{}/actions/add_tags", record.module, record.id));
        Call::json(Method::Post, url, json!({ "tags": tags, "over_write": false }))
    }

    /// Id and text of the record's note with this marker.
    pub(super) async fn find_note(&self, parent: &Contact, marker: &str) -> Result<Option<(String, String)>, Failed> {
        for page in 1..=MAX_PAGES {
            let query = format!("fields=id,Note_Content&sort_by=Created_Time&sort_order=desc&per_page=200&page={page}");
            let url = self.path(&format!("{}/{}/Notes?{query}", parent.module, parent.id));
            let body = self.done(&Call::new(Method::Get, url), false).await?;
            let notes = body.get("data").and_then(Value::as_array);
            let text = |note: &Value| note.get("Note_Content").and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = |note: &Value| note.get("id").and_then(Value::as_str).map(str::to_owned);
            if let Some(note) = notes.into_iter().flatten().find(|note| text(note).contains(marker)) {
                return Ok(id(note).map(|id| (id, text(note))));
            }
            if body.pointer("/info/more_records") != Some(&Value::Bool(true)) {
                break;
            }
        }
        Ok(None)
    }

    /// Ids and names of the files of a note.
    pub(super) async fn files_of(&self, note: &str) -> Result<Vec<(String, String)>, Failed> {
        let url = self.path(&format!("Notes/{note}/Attachments?fields=id,File_Name"));
        let body = self.done(&Call::new(Method::Get, url), false).await?;
        let files = body.get("data").and_then(Value::as_array);
        let one = |file: &Value| {
            let text = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((text("id")?, text("File_Name")?))
        };
        Ok(files.into_iter().flatten().filter_map(one).collect())
    }
}
