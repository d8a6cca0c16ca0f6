//! Finds users and tickets.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::call::Call;
use super::super::destination::{Applied, Class, Failed};
use super::super::map::{By, Match, Missing, Prepared, phone};
use super::{Zendesk, id_at, judge, unknown_step};
use crate::egress::Method;
use crate::error::Code;

/// Pages of a ticket's history that are read back, of 100 entries each.
const MAX_PAGES: u32 = 10;

impl Zendesk {
    /// The user, or what is done without one.
    pub(super) async fn find_user(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        match (self.find_user_id(prepared).await?, prepared.on_missing) {
            (Some(id), _) => Ok(Applied::Done(id)),
            (None, Missing::Create) => Ok(Applied::Nothing),
            (None, Missing::Skip) => Ok(Applied::EndsHere),
            (None, Missing::Park) => Err(Failed::new(Class::Park, Code::DeliverNoRecord, "no user of Zendesk matches")),
        }
    }

    async fn find_user_id(&self, prepared: &Prepared) -> Result<Option<String>, Failed> {
        for way in &prepared.matches {
            for call in self.search(way) {
                let body = match self.done(&call, false).await {
                    Err(failed) if failed.code == Code::DeliverNoRecord => continue,
                    found => found?,
                };
                let one = body.get("user").map(std::slice::from_ref);
                let users =
                    one.or_else(|| body.get("users").and_then(Value::as_array).map(Vec::as_slice)).unwrap_or(&[]);
                let found: Vec<u64> = users
                    .iter()
                    .filter(|user| self.is_match(way, user))
                    .filter_map(|user| user.get("id").and_then(Value::as_u64))
                    .collect();
                match found.as_slice() {
                    [] => {}
                    [id] => return Ok(Some(id.to_string())),
                    several => {
                        let text = format!("{} users of Zendesk match", several.len());
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
        let get = |rest: String| Call::new(Method::Get, self.path(&rest));
        let query = |text: String| get(format!("users/search?query={}", escape(&text)));
        match way.by {
            By::Id => vec![get(format!("users/{}", escape(&way.value)))],
            By::ExternalId => vec![get(format!("users/search?external_id={}", escape(&way.value)))],
            By::Email => vec![query(format!("email:\"{}\"", way.value.replace('"', "")))],
            By::Phone => {
                let (Some(e164), Some(national)) =
                    (phone::e164(&way.value, &self.region), phone::national(&way.value, &self.region))
                else {
                    return Vec::new();
                };
                // As Zendesk writes it, then by its end: with and without the digit that some countries added.
                let tail = national[national.len().saturating_sub(8)..].to_owned();
                vec![query(format!("phone:{e164}")), query(format!("phone:*{tail}"))]
            }
        }
    }

    /// A search is fuzzy: whether a candidate really is the one.
    fn is_match(&self, way: &Match, user: &Value) -> bool {
        let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
        match way.by {
            By::Id => user.get("id").map(Value::to_string).as_deref() == Some(way.value.as_str()),
            By::ExternalId => text("external_id").eq_ignore_ascii_case(&way.value),
            By::Email => text("email").eq_ignore_ascii_case(&way.value),
            By::Phone => {
                let region = if self.region.is_empty() { phone::region(&way.value) } else { self.region.clone() };
                phone::is_same(&way.value, text("phone"), &region)
            }
        }
    }

    /// A user with an external id of ours, so that a second time finds the first. Nobody gets a mail.
    pub(super) fn upsert_user(&self, prepared: &Prepared) -> Result<Call, Failed> {
        let way = prepared.matches.first().ok_or_else(unknown_step)?;
        let mut user: Map<String, Value> = prepared.create.iter().cloned().collect();
        let value = match way.by {
            By::Phone => phone::e164(&way.value, &self.region).unwrap_or_else(|| way.value.clone()),
            By::Id | By::ExternalId | By::Email => way.value.clone(),
        };
        let digest = hex::encode(Sha256::digest(value));
        user.entry("external_id").or_insert_with(|| Value::from(format!("mediamill-{}", &digest[..32])));
        user.entry("name").or_insert_with(|| Value::from("WhatsApp"));
        user.insert("skip_verify_email".to_owned(), true.into());
        Ok(Call::json(Method::Post, self.path("users/create_or_update"), json!({ "user": user })))
    }

    pub(super) async fn create_user(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        let body = self.done(&self.upsert_user(prepared)?, false).await?;
        id_at(&body, "/user/id").map(Applied::Done)
    }

    /// The request that reads the ticket of the map.
    pub(super) fn read_ticket(&self, prepared: &Prepared) -> Result<Call, Failed> {
        let id = ticket_id(prepared)?;
        Ok(Call::new(Method::Get, self.path(&format!("tickets/{id}"))))
    }

    /// The ticket of the map, where it is open: a closed one can never be changed again.
    pub(super) async fn find_ticket(&self, prepared: &Prepared) -> Result<Applied, Failed> {
        let body = self.done(&self.read_ticket(prepared)?, false).await?;
        if body.pointer("/ticket/status").and_then(Value::as_str) == Some("closed") {
            return Ok(Applied::Nothing);
        }
        id_at(&body, "/ticket/id").map(Applied::Done)
    }

    /// The ticket that was made for this event.
    pub(super) async fn find_made_ticket(&self, event_id: &str) -> Result<Option<String>, Failed> {
        let id = utf8_percent_encode(&external_id(event_id), NON_ALPHANUMERIC).to_string();
        let body = self.done(&Call::new(Method::Get, self.path(&format!("tickets?external_id={id}"))), false).await?;
        Ok(body.pointer("/tickets/0/id").and_then(Value::as_u64).map(|id| id.to_string()))
    }

    /// The comment that came with this event, by the metadata of the ticket's history.
    pub(super) async fn find_comment(&self, ticket: &str, event_id: &str) -> Result<Option<u64>, Failed> {
        for page in 1..=MAX_PAGES {
            let url = self.path(&format!("tickets/{ticket}/audits?per_page=100&page={page}"));
            let body = self.done(&Call::new(Method::Get, url), false).await?;
            let audits = body.get("audits").and_then(Value::as_array);
            let is_ours = |audit: &&Value| {
                audit.pointer("/metadata/custom/mediamill_event").and_then(Value::as_str) == Some(event_id)
            };
            if let Some(audit) = audits.into_iter().flatten().find(is_ours) {
                return Ok(comment_of(audit));
            }
            if body.get("next_page").is_none_or(Value::is_null) {
                break;
            }
        }
        Ok(None)
    }
}

/// The id of the comment of an audit.
pub(super) fn comment_of(audit: &Value) -> Option<u64> {
    let events = audit.get("events").and_then(Value::as_array);
    let comment =
        events.into_iter().flatten().find(|event| event.get("type").and_then(Value::as_str) == Some("Comment"));
    comment.and_then(|event| event.get("id")).and_then(Value::as_u64)
}

/// The ticket that the map names.
pub(super) fn ticket_id(prepared: &Prepared) -> Result<&str, Failed> {
    let id = prepared.objects.first().map(|(_, id)| id.as_str()).ok_or_else(unknown_step)?;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failed::mapping("objects.ticket: it is no number"));
    }
    Ok(id)
}

/// What tells the ticket of an event from all others.
pub(super) fn external_id(event_id: &str) -> String {
    format!("mediamill-{event_id}")
}

/// Whether the answer says that another body came with the same key before.
pub(super) fn came_before(answer: &crate::egress::Answer) -> bool {
    answer.status == 400 && judge::error_of(&super::body_of(answer)) == "IdempotentRequestError"
}
