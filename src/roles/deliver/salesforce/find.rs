//! Finds contacts and leads.

use serde_json::Value;

use super::super::call::Call;
use super::super::destination::{Applied, Class, Failed};
use super::super::map::{By, Match, Missing, Prepared, phone};
use super::Salesforce;
use crate::error::Code;

/// Candidates that are compared.
const MAX_CANDIDATES: u32 = 20;
/// What is compared of a contact, and of a lead.
const PHONES: [&str; 4] = ["Phone", "MobilePhone", "HomePhone", "OtherPhone"];
const LEAD_PHONES: [&str; 2] = ["Phone", "MobilePhone"];

impl Salesforce {
    /// The contact or lead, or what is done without one.
    pub(super) async fn find_contact(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        match (self.find_contact_id(prepared).await?, prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id)),
            (None, Missing::Create) => Ok(Applied::Nothing),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park) => {
                let text = "no contact and no lead of Salesforce matches";
                Err(Failed::new(Class::Park, Code::DeliverNoRecord, text))
            }
        }
    }

    /// By the first way that finds one: contacts first, then leads that are not converted.
    pub(super) async fn find_contact_id(&self, prepared: &Prepared) -> Result<Option<String>, Failed> {
        for way in &prepared.matches {
            let Some(call) = self.search(way) else { continue };
            let body = self.done(&call, false).await?;
            let records = body.get("records").or_else(|| body.get("searchRecords")).and_then(Value::as_array);
            let matching = |object: &str| -> Vec<String> {
                let of_object =
                    |record: &&Value| record.pointer("/attributes/type").and_then(Value::as_str) == Some(object);
                let records =
                    records.into_iter().flatten().filter(of_object).filter(|record| self.is_match(way, record));
                records.filter_map(|record| record.get("Id").and_then(Value::as_str)).map(str::to_owned).collect()
            };
            for object in ["Contact", "Lead"] {
                match matching(object).as_slice() {
                    [] => {}
                    [id] => return Ok(Some(id.clone())),
                    several => {
                        let text = format!("{} records {object} of Salesforce match", several.len());
                        return Err(Failed::new(Class::Park, Code::DeliverAmbiguous, text));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The query of a way; nothing where its value cannot be looked for.
    pub(super) fn search(&self, way: &Match) -> Option<Call> {
        let value = quoted(&way.value);
        Some(match way.by {
            By::Id => {
                let object = object_of(&way.value)?;
                self.query(&format!("SELECT Id FROM {object} WHERE Id = {value}"))
            }
            By::ExternalId => {
                // The field of a contact, or with its object before it: Lead.Our_Id__c.
                let (object, field) = way.property.split_once('.').unwrap_or(("Contact", &way.property));
                let is_name =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_name(object) || !is_name(field) {
                    return None;
                }
                self.query(&format!("SELECT Id, {field} FROM {object} WHERE {field} = {value} LIMIT {MAX_CANDIDATES}"))
            }
            By::Email => {
                self.query(&format!("SELECT Id, Email FROM Contact WHERE Email = {value} LIMIT {MAX_CANDIDATES}"))
            }
            By::Phone => {
                let national = phone::national(&way.value, &self.region)?;
                let e164 = phone::e164(&way.value, &self.region)?;
                // Phones are stored as they were typed. A search of phone fields compares digits.
                let mut terms = vec![national.clone(), e164.trim_start_matches('+').to_owned()];
                // The last 8 digits find numbers that are written without the digit that some countries added.
                terms.push(national[national.len().saturating_sub(8)..].to_owned());
                terms.dedup();
                self.sosl(&format!(
                    "FIND {{{}}} IN PHONE FIELDS RETURNING Contact(Id, {}), Lead(Id, {} WHERE IsConverted = false)",
                    terms.join(" OR "),
                    PHONES.join(", "),
                    LEAD_PHONES.join(", "),
                ))
            }
        })
    }

    /// A search is fuzzy: whether a candidate really is the one.
    fn is_match(&self, way: &Match, record: &Value) -> bool {
        let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        match way.by {
            By::Id => true,
            By::ExternalId => {
                let name = way.property.split_once('.').map_or(way.property.as_str(), |(_, field)| field);
                field(name).eq_ignore_ascii_case(&way.value)
            }
            By::Email => field("Email").eq_ignore_ascii_case(&way.value),
            By::Phone => {
                let region = if self.region.is_empty() { phone::region(&way.value) } else { self.region.clone() };
                PHONES.iter().any(|name| phone::is_same(&way.value, field(name), &region))
            }
        }
    }
}

/// A text in SOQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The object of an id, by its first three characters; nothing for what is no id of a contact or lead.
pub(super) fn object_of(id: &str) -> Option<&'static str> {
    if !is_id(id) {
        return None;
    }
    match id.get(..3)? {
        "003" => Some("Contact"),
        "00Q" => Some("Lead"),
        _ => None,
    }
}

/// Whether it is an id: 15 characters, or 18 with a check sum.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_quotes() {
        assert_eq!(quoted(r"O'Neil \"), r"'O\'Neil \\'");
    }

    #[test]
    fn ids_tell_their_object() {
        assert_eq!(object_of("003000000001001AAA"), Some("Contact"));
        assert_eq!(object_of("00Q000000001001"), Some("Lead"));
        assert_eq!([object_of("006000000001001AAA"), object_of("003'"), object_of("")], [None, None, None]);
    }
}
