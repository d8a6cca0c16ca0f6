//! Files: a version of a document, published at one record and linked to others.

use serde_json::{Value, json};

use super::super::call::{Body, Call, Part};
use super::super::destination::{Applied, Failed, Ids};
use super::super::map::{Attachment, Prepared};
use super::{Salesforce, activity, contact, find, home, judge, unknown_step};
use crate::egress::Method;

impl Salesforce {
    /// The JSON goes first, and each part has its type. A title that is one's own lets the file be found again.
    pub(super) fn upload(&self, attachment: &Attachment, home: Option<String>) -> Call {
        let mut meta = json!({ "Title": attachment.file.file_name, "PathOnClient": attachment.file.file_name });
        if let Some(id) = home {
            meta["FirstPublishLocationId"] = Value::from(id);
        }
        let parts = vec![Part::json("entity_content", &meta), Part::file("VersionData", attachment.file.clone())];
        Call { body: Body::Multipart(parts), ..Call::new(Method::Post, self.data("sobjects/ContentVersion")) }
    }

    /// The version with this title.
    pub(super) async fn find_file(&self, title: &str) -> Result<Option<String>, Failed> {
        let title = find::quoted(title);
        let call =
            self.query(&format!("SELECT Id FROM ContentVersion WHERE Title = {title} AND IsLatest = true LIMIT 1"));
        Ok(activity::first_id(&self.done(&call, false).await?))
    }

    /// One composite request: the document of the version, and a link to each further record. It counts as one call.
    pub(super) fn link_call(&self, record: &str, prepared: &Prepared, ids: &Ids) -> Result<Option<Call>, Failed> {
        let version = ids.get(record, "upload").ok_or_else(unknown_step)?;
        let at = home(prepared, ids);
        let contact = contact(ids).filter(|_| !prepared.matches.is_empty());
        let named = prepared.objects.iter().map(|(_, id)| id.clone());
        let targets: Vec<String> = contact.into_iter().chain(named).filter(|id| Some(id) != at.as_ref()).collect();
        if targets.is_empty() {
            return Ok(None);
        }
        let mut parts = vec![json!({
            "method": "GET",
            "url": self.data_path(&format!("sobjects/ContentVersion/{version}?fields=ContentDocumentId")),
            "referenceId": "file",
        })];
        for (n, id) in targets.iter().enumerate() {
            parts.push(json!({
                "method": "POST",
                "url": self.data_path("sobjects/ContentDocumentLink"),
                "referenceId": format!("link{n}"),
                "body": {
                    "ContentDocumentId": "@{file.ContentDocumentId}",
                    "LinkedEntityId": id,
                    "ShareType": "V",
                },
            }));
        }
        let body = json!({ "allOrNone": false, "compositeRequest": parts });
        Ok(Some(Call::json(Method::Post, self.data("composite"), body)))
    }

    /// Links that are there already are fine: doing it twice is the same as doing it once.
    pub(super) async fn link(&self, record: &str, prepared: &Prepared, ids: &Ids) -> Result<Applied, Failed> {
        let Some(call) = self.link_call(record, prepared, ids)? else { return Ok(Applied::Nothing) };
        let body = self.done(&call, false).await?;
        let parts = body.get("compositeResponse").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            let status = part.get("httpStatusCode").and_then(Value::as_u64).unwrap_or_default();
            let said = part.get("body").unwrap_or(&Value::Null);
            if !(200..300).contains(&status) && judge::code_of(said) != "DUPLICATE_VALUE" {
                return Err(judge::part_failed(status, said));
            }
        }
        Ok(Applied::Done(String::new()))
    }
}
