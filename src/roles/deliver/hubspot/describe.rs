//! Properties, as HubSpot describes them.

use serde_json::Value;

use super::super::call::Call;
use super::super::described::{Field, Holds, compare, texts};
use super::super::destination::Failed;
use super::super::map::Prepared;
use super::Hubspot;
use crate::egress::Method;

impl Hubspot {
    pub(super) async fn compare_fields(&self, prepared: &Prepared) -> Result<Vec<String>, Failed> {
        let mut wrong = Vec::new();
        if !prepared.fields.is_empty() || !prepared.create.is_empty() {
            let known = self.properties_of("contacts").await?;
            wrong.extend(compare("fields", "contacts", &prepared.fields, &known));
            wrong.extend(compare("create", "contacts", &prepared.create, &known));
        }
        if !prepared.activity.fields.is_empty() {
            let known = self.properties_of("notes").await?;
            wrong.extend(compare("activity.fields", "notes", &prepared.activity.fields, &known));
        }
        Ok(wrong)
    }

    async fn properties_of(&self, object: &str) -> Result<Vec<Field>, Failed> {
        let url = format!("{}/crm/properties/{}/{object}", self.base, self.version);
        let body = self.done(&Call::new(Method::Get, url), false).await?;
        let one = |property: &Value| {
            let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
            let fixed = property.pointer("/modificationMetadata/readOnlyValue").and_then(Value::as_bool);
            Some(Field {
                name: property.get("name")?.as_str()?.to_owned(),
                is_fixed: fixed.unwrap_or(false),
                holds: Holds::of(kind),
                most: None,
                options: if kind == "enumeration" { texts(property.get("options"), "value") } else { Vec::new() },
            })
        };
        Ok(body.get("results").and_then(Value::as_array).into_iter().flatten().filter_map(one).collect())
    }
}
