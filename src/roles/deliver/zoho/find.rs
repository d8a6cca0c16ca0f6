//! Finds contacts and leads.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::call::Call;
use super::super::destination::{Applied, Class, Failed};
use super::super::map::{By, Match, Missing, Prepared, phone};
use super::Zoho;
use crate::egress::Method;
use crate::error::Code;

/// Where people are looked for, in this order.
const MODULES: [&str; 2] = ["Contacts", "Leads"];

impl Zoho {
    /// The contact or lead, or what is done without one.
    pub(super) async fn find_contact(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        match (self.find_contact_id(prepared).await?, prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id)),
            (None, Missing::Create) => Ok(Applied::Nothing),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park) => {
                Err(Failed::new(Class::Park, Code::DeliverNoRecord, "no contact and no lead of Zoho CRM matches"))
            }
        }
    }

    /// Module and id, by the first way that finds one.
    pub(super) async fn find_contact_id(&self, prepared: &Prepared) -> Result<Option<String>, Failed> {
        for way in &prepared.matches {
            for (module, call) in self.searches(way) {
                // Nothing found is an answer without a body.
                let body = match self.done(&call, false).await {
                    Err(failed) if failed.code == Code::DeliverNoRecord => continue,
                    found => found?,
                };
                let records = body.get("data").and_then(Value::as_array);
                let found: Vec<&str> = records
                    .into_iter()
                    .flatten()
                    .filter(|record| self.is_match(way, record))
                    .filter_map(|record| record.get("id").and_then(Value::as_str))
                    .collect();
                match found.as_slice() {
                    [] => {}
                    [id] => return Ok(Some(format!("{module}/{id}"))),
                    several => {
                        let text = format!("{} records {module} of Zoho CRM match", several.len());
                        return Err(Failed::new(Class::Park, Code::DeliverAmbiguous, text));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The searches of a way, in their order; none where its value cannot be looked for.
    pub(super) fn search(&self, way: &Match) -> Vec<Call> {
        self.searches(way).into_iter().map(|(_, call)| call).collect()
    }

    fn searches(&self, way: &Match) -> Vec<(&'static str, Call)> {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query = match way.by {
            By::Id if way.value.bytes().all(|byte| byte.is_ascii_digit()) => format!("/{}", way.value),
            By::Id => return Vec::new(),
            By::ExternalId => {
                let is_name = way.property.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if way.property.is_empty() || !is_name {
                    return Vec::new();
                }
                format!("/search?criteria={}", escape(&format!("({}:equals:{})", way.property, criterion(&way.value))))
            }
            By::Email => format!("/search?email={}", escape(&way.value)),
            By::Phone => {
                let Some(national) = phone::national(&way.value, &self.region) else { return Vec::new() };
                // The end finds numbers however they are written.
                format!("/search?phone={}", &national[national.len().saturating_sub(8)..])
            }
        };
        let call = |module: &'static str| (module, Call::new(Method::Get, self.path(&format!("{module}{query}"))));
        MODULES.into_iter().map(call).collect()
    }

    /// A search is fuzzy: whether a candidate really is the one.
    fn is_match(&self, way: &Match, record: &Value) -> bool {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        match way.by {
            By::Id => text("id") == way.value,
            By::ExternalId => text(&way.property) == way.value,
            By::Email => ["Email", "Secondary_Email"].iter().any(|name| text(name).eq_ignore_ascii_case(&way.value)),
            By::Phone => {
                let region = if self.region.is_empty() { phone::region(&way.value) } else { self.region.clone() };
                let names = ["Phone", "Mobile", "Home_Phone", "Other_Phone"];
                names.iter().any(|name| phone::is_same(&way.value, text(name), &region))
            }
        }
    }
}

/// A value in a criterion: parentheses, commas and backslashes have a backslash before them.
fn criterion(text: &str) -> String {
    text.chars().flat_map(|c| ["(),\\".contains(c).then_some('\\'), Some(c)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_cannot_leave_their_criterion() {
        assert_eq!(super::criterion(r"a(b),c\d"), r"a\(b\)\,c\\d");
    }
}
