//! Fields of tickets and users, as Zendesk describes them.

use serde_json::Value;

use super::super::call::Call;
use super::super::described::{Field, Holds, compare, texts};
use super::super::destination::Failed;
use super::super::map::Prepared;
use super::{Zendesk, ticket};
use crate::egress::Method;

impl Zendesk {
    pub(super) async fn compare_fields(&self, prepared: &Prepared) -> Result<Vec<String>, Failed> {
        let mut wrong = Vec::new();
        if !prepared.fields.is_empty() {
            let known = self.fields_of("user_fields", "key").await?;
            wrong.extend(compare("fields", "user_fields", &prepared.fields, &known));
        }
        let custom = prepared.activity.fields.iter().filter(|(name, _)| !ticket::is_own(name));
        // Titles are compared as the delivery compares them; numbers as they are.
        let custom: Vec<_> = custom.map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        if !custom.is_empty() {
            let mut known = self.fields_of("ticket_fields", "title").await?;
            known.extend(self.fields_of("ticket_fields", "id").await?);
            wrong.extend(compare("activity.fields", "ticket_fields", &custom, &known));
        }
        Ok(wrong)
    }

    /// The fields by their `key`, `title` or `id`.
    async fn fields_of(&self, list: &str, by: &str) -> Result<Vec<Field>, Failed> {
        let body = self.done(&Call::new(Method::Get, self.path(list)), false).await?;
        let one = |field: &Value| {
            let name = match field.get(by)? {
                Value::String(name) if by == "title" => name.to_lowercase(),
                Value::String(name) => name.clone(),
                other => other.to_string(),
            };
            Some(Field {
                name,
                is_fixed: field.get("active").and_then(Value::as_bool) == Some(false),
                holds: Holds::of(field.get("type").and_then(Value::as_str).unwrap_or_default()),
                most: None,
                options: texts(field.get("custom_field_options"), "value"),
            })
        };
        Ok(body.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(one).collect())
    }
}
