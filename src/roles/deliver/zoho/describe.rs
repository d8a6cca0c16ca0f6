//! Fields, as Zoho CRM describes them: it ignores unknown ones without a word.

use serde_json::Value;

use super::super::call::Call;
use super::super::described::{Field, Holds, compare, texts};
use super::super::destination::Failed;
use super::super::map::Prepared;
use super::Zoho;
use crate::egress::Method;

impl Zoho {
    pub(super) async fn compare_fields(&self, prepared: &Prepared) -> Result<Vec<String>, Failed> {
        let mut wrong = Vec::new();
        if !prepared.fields.is_empty() || !prepared.create.is_empty() {
            let known = self.fields_of("Contacts").await?;
            wrong.extend(compare("fields", "Contacts", &prepared.fields, &known));
            wrong.extend(compare("create", "Contacts", &prepared.create, &known));
        }
        if !prepared.activity.fields.is_empty() {
            let known = self.fields_of("Notes").await?;
            wrong.extend(compare("activity.fields", "Notes", &prepared.activity.fields, &known));
        }
        Ok(wrong)
    }

    async fn fields_of(&self, module: &str) -> Result<Vec<Field>, Failed> {
        let url = self.path(&format!("settings/fields?module={module}"));
        let body = self.done(&Call::new(Method::Get, url), false).await?;
        let one = |field: &Value| {
            let kind = field.get("data_type").and_then(Value::as_str).unwrap_or_default();
            let is_choice = ["picklist", "multiselectpicklist"].contains(&kind);
            Some(Field {
                name: field.get("api_name")?.as_str()?.to_owned(),
                is_fixed: field.get("read_only").and_then(Value::as_bool).unwrap_or(false),
                holds: Holds::of(kind),
                most: field.get("length").and_then(Value::as_u64),
                options: if is_choice { texts(field.get("pick_list_values"), "actual_value") } else { Vec::new() },
            })
        };
        Ok(body.get("fields").and_then(Value::as_array).into_iter().flatten().filter_map(one).collect())
    }
}
