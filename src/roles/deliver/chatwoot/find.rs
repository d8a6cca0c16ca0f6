//! Finds contacts and their conversations.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::call::Call;
use super::super::destination::{Applied, Class, Failed, Ids};
use super::super::map::{By, Match, Missing, Prepared, phone};
use super::{Chatwoot, unknown_step};
use crate::egress::Method;
use crate::error::Code;

impl Chatwoot {
    /// The contact, or what is done without one.
    pub(super) async fn find_contact(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        match (self.find_contact_id(prepared).await?, prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id)),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park | Missing::Create) => {
                Err(Failed::new(Class::Park, Code::DeliverNoRecord, "no contact of Chatwoot matches"))
            }
        }
    }

    async fn find_contact_id(&self, prepared: &Prepared) -> Result<Option<String>, Failed> {
        for way in &prepared.matches {
            for call in self.search(way) {
                let body = match self.done(&call, false).await {
                    Err(failed) if failed.code == Code::DeliverNoRecord => continue,
                    found => found?,
                };
                // One contact, or a page of some.
                let payload = body.get("payload");
                let one = payload.filter(|payload| payload.is_object()).map(std::slice::from_ref);
                let page = || payload.and_then(Value::as_array).map(Vec::as_slice);
                let found: Vec<u64> = one
                    .or_else(page)
                    .unwrap_or_default()
                    .iter()
                    .filter(|contact| self.is_match(way, contact))
                    .filter_map(|contact| contact.get("id").and_then(Value::as_u64))
                    .collect();
                match found.as_slice() {
                    [] => {}
                    [id] => return Ok(Some(id.to_string())),
                    several => {
                        let text = format!("{} contacts of Chatwoot match", several.len());
                        return Err(Failed::new(Class::Park, Code::DeliverAmbiguous, text));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The searches of a way, in their order; none where its value cannot be looked for.
    pub(super) fn search(&self, way: &Match) -> Vec<Call> {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query = |text: &str| Call::new(Method::Get, self.path(&format!("contacts/search?q={}", escape(text))));
        match way.by {
            By::Id => vec![Call::new(Method::Get, self.path(&format!("contacts/{}", escape(&way.value))))],
            By::ExternalId | By::Email => vec![query(&way.value)],
            By::Phone => {
                let (Some(e164), Some(national)) =
                    (phone::e164(&way.value, &self.region), phone::national(&way.value, &self.region))
                else {
                    return Vec::new();
                };
                // Chatwoot keeps E.164; the end finds numbers without the digit that some countries added.
                vec![query(&e164), query(&national[national.len().saturating_sub(8)..])]
            }
        }
    }

    /// A search finds parts of texts: whether a candidate really is the one.
    fn is_match(&self, way: &Match, contact: &Value) -> bool {
        let text = |name: &str| contact.get(name).and_then(Value::as_str).unwrap_or_default();
        match way.by {
            By::Id => contact.get("id").map(Value::to_string).as_deref() == Some(way.value.as_str()),
            By::ExternalId => text("identifier") == way.value,
            By::Email => text("email").eq_ignore_ascii_case(&way.value),
            By::Phone => {
                let region = if self.region.is_empty() { phone::region(&way.value) } else { self.region.clone() };
                phone::is_same(&way.value, text("phone_number"), &region)
            }
        }
    }

    pub(super) fn list_conversations(&self, contact: &str) -> Call {
        Call::new(Method::Get, self.path(&format!("contacts/{contact}/conversations")))
    }

    /// The contact's conversation that was used last.
    pub(super) async fn find_conversation(&self, prepared: &Prepared, ids: &Ids) -> Result<Applied, Failed> {
        let contact = ids.get("contact", "find").ok_or_else(unknown_step)?;
        let body = self.done(&self.list_conversations(&contact), false).await?;
        let conversations = body.get("payload").and_then(Value::as_array);
        let last =
            |conversation: &&Value| conversation.get("last_activity_at").and_then(Value::as_i64).unwrap_or_default();
        // Of several with the same time the first: the list begins with the newest.
        let mut found: Vec<&Value> = conversations.into_iter().flatten().collect();
        found.sort_by_key(|conversation| std::cmp::Reverse(last(conversation)));
        match (found.first().and_then(|it| it.get("id")).and_then(Value::as_u64), prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id.to_string())),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park | Missing::Create) => {
                let text = "the contact has no conversation in Chatwoot";
                Err(Failed::new(Class::Park, Code::DeliverNoRecord, text))
            }
        }
    }
}
