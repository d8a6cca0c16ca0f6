//! Messages that a provider has and whose webhook may be lost, for providers that do not come again but list what they have:
//! Twilio. Everything here is pure.
//!
//! A message of the list is turned into the form that its webhook was, and read as such: it becomes the same events, with the
//! same ids. What the list does not have (the name in the customer's profile) is missing in them.
//!
//! Source: <https://www.twilio.com/docs/messaging/api/message-resource> and `…/media-resource`. Never run against Twilio.

use jiff::Timestamp;
use serde_json_borrow::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::value::{field, list, number, text};
use super::{Malformed, Provider};

/// Messages of a page: the most that Twilio gives.
const PAGE: u32 = 1000;

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Those with files that came from customers.
    pub messages: Vec<Listed>,
    /// How many there are of any kind.
    pub listed: usize,
    /// Path and query of the next page.
    pub next: Option<String>,
}

/// A message with files. `Debug` shows its id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// The provider's id of it.
    pub sid: String,
    fields: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listed").field("sid", &self.sid).finish_non_exhaustive()
    }
}

/// Whether a provider does not come again and lists what it has.
#[must_use]
pub const fn is_listed(provider: Provider) -> bool {
    matches!(provider, Provider::Twilio)
}

/// Path and query of the first page: what was sent since then.
#[must_use]
pub fn first_page(account_id: &str, since: Timestamp) -> String {
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let since: String = byte_serialize(since.as_bytes()).collect();
    format!("/2010-04-01/Accounts/{account_id}/Messages.json?DateSent%3E={since}&PageSize={PAGE}")
}

/// Path of the list of a message's files.
#[must_use]
pub fn files(account_id: &str, sid: &str) -> String {
    format!("/2010-04-01/Accounts/{account_id}/Messages/{sid}/Media.json")
}

/// Reads a page. The path of the next one has to be of this account.
///
/// # Errors
/// [`Malformed`] where it is no page.
pub fn page(account_id: &str, body: &[u8]) -> Result<Page, Malformed> {
    let answer = super::value::json(body)?;
    let messages =
        field(&answer, "messages").and_then(Value::as_array).ok_or(Malformed::Shape("the list has no messages"))?;
    let ours = format!("/2010-04-01/Accounts/{account_id}/Messages.json?");
    let next = text(&answer, "next_page_uri").filter(|next| next.starts_with(&ours)).map(str::to_owned);
    let found = messages.iter().filter_map(|message| listed(account_id, message)).collect();
    Ok(Page { messages: found, listed: messages.len(), next })
}

fn listed(account_id: &str, message: &Value<'_>) -> Option<Listed> {
    let sid = text(message, "sid").filter(|sid| sid.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    let is_inbound = text(message, "direction") == Some("inbound");
    if !is_inbound || number(message, "num_media").unwrap_or(0) == 0 {
        return None;
    }
    let field = |name, key| Some((name, text(message, key)?.to_owned()));
    let known = [field("From", "from"), field("To", "to"), field("Body", "body")];
    let mut fields = vec![("MessageSid", sid.to_owned()), ("AccountSid", account_id.to_owned())];
    fields.extend(known.into_iter().flatten());
    Some(Listed { sid: sid.to_owned(), fields })
}

/// The form that the webhook of a message was, as far as the list of its files and the message tell. `base` is the API's address.
///
/// # Errors
/// [`Malformed`] where it is no list of files.
pub fn form(message: &Listed, base: &str, body: &[u8]) -> Result<String, Malformed> {
    let answer = super::value::json(body)?;
    if field(&answer, "media_list").is_none() {
        return Err(Malformed::Shape("the list has no media_list"));
    }
    let mut form = Serializer::new(String::new());
    form.extend_pairs(message.fields.iter().map(|(name, value)| (*name, value.as_str())));
    let files = list(&answer, "media_list");
    form.append_pair("NumMedia", &files.len().to_string());
    for (n, file) in files.iter().enumerate() {
        let path = text(file, "uri").and_then(|uri| uri.strip_suffix(".json")).filter(|uri| uri.starts_with('/'));
        let path = path.ok_or(Malformed::Shape("a file of the list has no uri"))?;
        form.append_pair(&format!("MediaUrl{n}"), &format!("{base}{path}"));
        if let Some(mime_type) = text(file, "content_type") {
            form.append_pair(&format!("MediaContentType{n}"), mime_type);
        }
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_messages_with_files_are_found_and_a_foreign_next_page_is_not_followed() {
        let body = |next: &str| {
            format!(
                r#"{{"messages":[
                    {{"sid":"MM1","direction":"inbound","num_media":"1","from":"whatsapp:+5511999990000","to":"whatsapp:+1","body":""}},
                    {{"sid":"MM2","direction":"inbound","num_media":"0","from":"+1","to":"+2","body":"text"}},
                    {{"sid":"MM3","direction":"outbound-api","num_media":"1"}},
                    {{"sid":"../MM4","direction":"inbound","num_media":"1"}}
                ],"next_page_uri":{next}}}"#
            )
        };
        let page = |next: &str| super::page("AC1", body(next).as_bytes()).expect("a page");
        let found = page(r#""/2010-04-01/Accounts/AC1/Messages.json?Page=1""#);
        assert_eq!((found.listed, found.messages.len()), (4, 1));
        assert_eq!(found.messages[0].sid, "MM1");
        assert!(found.next.is_some());
        for foreign in ["null", r#""https://evil.example/""#, r#""/2010-04-01/Accounts/AC2/Messages.json?Page=1""#] {
            assert_eq!(page(foreign).next, None, "{foreign}");
        }
        assert!(super::page("AC1", b"{}").is_err());
        assert!(!format!("{found:?}").contains("5511"), "{found:?}");
    }

    #[test]
    fn the_form_has_the_files_as_the_webhook_has_them() {
        let listed = Listed { sid: "MM1".to_owned(), fields: vec![("MessageSid", "MM1".to_owned())] };
        let body = br#"{"media_list":[{"sid":"ME1","content_type":"audio/ogg","uri":"/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1.json"}]}"#;
        let form = form(&listed, "https://api.twilio.com", body).expect("a form");
        let pairs: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let file = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
        for (name, value) in
            [("MessageSid", "MM1"), ("NumMedia", "1"), ("MediaUrl0", file), ("MediaContentType0", "audio/ogg")]
        {
            assert!(pairs.contains(&(name.to_owned(), value.to_owned())), "{name} {pairs:?}");
        }
        assert!(super::form(&listed, "", b"{}").is_err());
    }

    #[test]
    fn the_time_is_part_of_the_query() {
        let since = Timestamp::from_second(1_790_000_000).expect("a time");
        let url = first_page("AC1", since);
        assert_eq!(url, "/2010-04-01/Accounts/AC1/Messages.json?DateSent%3E=2026-09-21T14%3A13%3A20Z&PageSize=1000");
    }
}
