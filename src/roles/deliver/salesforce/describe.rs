//! Fields, as the org describes them to this user.

use serde_json::Value;

use super::super::call::Call;
use super::super::described::{Field, Holds, compare, texts};
use super::super::destination::Failed;
use super::super::map::Prepared;
use super::{Kind, Salesforce, kind};
use crate::egress::Method;

impl Salesforce {
    pub(super) async fn compare_fields(&self, prepared: &Prepared) -> Result<Vec<String>, Failed> {
        let mut wrong = Vec::new();
        if !prepared.fields.is_empty() || !prepared.create.is_empty() {
            let known = self.fields_of("Contact").await?;
            wrong.extend(compare("fields", "Contact", &prepared.fields, &known));
            wrong.extend(compare("create", "Contact", &prepared.create, &known));
        }
        if !prepared.activity.fields.is_empty() {
            let object = if kind(prepared)? == Kind::Media { "Mediamill_Media__c" } else { "Task" };
            let known = self.fields_of(object).await?;
            wrong.extend(compare("activity.fields", object, &prepared.activity.fields, &known));
        }
        Ok(wrong)
    }

    async fn fields_of(&self, object: &str) -> Result<Vec<Field>, Failed> {
        let body = self.done(&Call::new(Method::Get, self.data(&format!("sobjects/{object}/describe"))), false).await?;
        let one = |field: &Value| {
            let may = |key: &str| field.get(key).and_then(Value::as_bool).unwrap_or(true);
            // A choice that is not restricted takes other values, too.
            let is_restricted = field.get("restrictedPicklist").and_then(Value::as_bool).unwrap_or(false);
            Some(Field {
                name: field.get("name")?.as_str()?.to_owned(),
                is_fixed: !may("createable") && !may("updateable"),
                holds: Holds::of(field.get("type").and_then(Value::as_str).unwrap_or_default()),
                most: field.get("length").and_then(Value::as_u64),
                options: if is_restricted { texts(field.get("picklistValues"), "value") } else { Vec::new() },
            })
        };
        Ok(body.get("fields").and_then(Value::as_array).into_iter().flatten().filter_map(one).collect())
    }
}
