//! Finds contacts.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::destination::{Applied, Class, Failed};
use super::super::map::{By, Match, Missing, Prepared, phone};
use super::Hubspot;
use crate::egress::Method;
use crate::error::Code;

/// Candidates that are compared. More than that have a number in common that is none.
const MAX_CANDIDATES: u32 = 20;
/// What is compared.
const PROPERTIES: [&str; 5] = [
    "phone",
    "mobilephone",
    "email",
    "hs_searchable_calculated_phone_number",
    "hs_searchable_calculated_mobile_number",
];

impl Hubspot {
    /// The contact, or what is done without one.
    pub(super) async fn find_contact(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        match (self.find_contact_id(prepared).await?, prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id)),
            (None, Missing::Create) => Ok(Applied::Nothing),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park) => {
                Err(Failed::new(Class::Park, Code::DeliverNoRecord, "no contact of HubSpot matches"))
            }
        }
    }

    /// The contact by the first way that finds one.
    pub(super) async fn find_contact_id(&self, prepared: &Prepared) -> Result<Option<String>, Failed> {
        for way in &prepared.matches {
            let Some(call) = self.search(way) else { continue };
            let body = self.done(&call, false).await?;
            let results = body.get("results").and_then(Value::as_array);
            let found: Vec<&str> = results
                .into_iter()
                .flatten()
                .filter(|contact| self.is_match(way, contact))
                .filter_map(|contact| contact.get("id").and_then(Value::as_str))
                .collect();
            match found.as_slice() {
                [] => {}
                [id] => return Ok(Some((*id).to_owned())),
                [_, _, ..] => {
                    let text = format!("{} contacts of HubSpot match", found.len());
                    return Err(Failed::new(Class::Park, Code::DeliverAmbiguous, text));
                }
            }
        }
        Ok(None)
    }

    /// The search of a way; nothing where its value cannot be looked for.
    pub(super) fn search(&self, way: &Match) -> Option<Call> {
        let filter = |property: &str, operator: &str, value: &str| json!({ "filters": [{ "propertyName": property, "operator": operator, "value": value }] });
        let groups = match way.by {
            By::Id => vec![filter("hs_object_id", "EQ", &way.value)],
            By::ExternalId => vec![filter(&way.property, "EQ", &way.value)],
            By::Email => vec![filter("email", "EQ", &way.value.to_lowercase())],
            By::Phone => {
                let national = phone::national(&way.value, &self.region)?;
                let e164 = phone::e164(&way.value, &self.region)?;
                // The last 8 digits find numbers that are written with and without the digit that some countries added.
                let tail = &national[national.len().saturating_sub(8)..];
                vec![
                    filter("hs_searchable_calculated_phone_number", "CONTAINS_TOKEN", &format!("*{tail}")),
                    filter("hs_searchable_calculated_mobile_number", "CONTAINS_TOKEN", &format!("*{tail}")),
                    filter("phone", "EQ", &e164),
                    filter("mobilephone", "EQ", &e164),
                ]
            }
        };
        let mut properties: Vec<&str> = PROPERTIES.to_vec();
        if way.by == By::ExternalId {
            properties.push(&way.property);
        }
        let body = json!({
            "filterGroups": groups,
            "properties": properties,
            "sorts": [],
            "limit": MAX_CANDIDATES,
            "after": "0",
        });
        Some(Call::json(Method::Post, self.objects("contacts/search"), body))
    }

    /// A search is fuzzy: whether a candidate really is the one.
    fn is_match(&self, way: &Match, contact: &Value) -> bool {
        let property =
            |name: &str| contact.pointer(&format!("/properties/{name}")).and_then(Value::as_str).unwrap_or_default();
        match way.by {
            By::Id => contact.get("id").and_then(Value::as_str) == Some(way.value.as_str()),
            By::ExternalId => property(&way.property) == way.value,
            By::Email => property("email").eq_ignore_ascii_case(&way.value),
            By::Phone => {
                let region = if self.region.is_empty() { phone::region(&way.value) } else { self.region.clone() };
                PROPERTIES.iter().any(|name| phone::is_same(&way.value, property(name), &region))
            }
        }
    }
}
