//! The envelope of Meta's webhooks: entries, changes, and what each field carries.

use serde_json_borrow::Value;

use super::message::{self, Context};
use crate::channels::value::{NULL, field, id, json, list, text};
use crate::channels::{Account, Ignored, MAX_UPDATES, Malformed, Update};

/// Most updates of one webhook together with those that are ignored: a body of 4 MiB has no room for as many texts.
const MAX_READ: usize = 10 * MAX_UPDATES;

/// Every message of every change of every entry.
pub(in crate::channels) fn parse(account: &Account, body: &[u8]) -> Result<Vec<Update>, Malformed> {
    let webhook = json(body)?;
    if !webhook.is_object() {
        return Err(Malformed::Shape("it is no object"));
    }
    if text(&webhook, "object").is_none() && field(&webhook, "messages").is_some() {
        return Err(Malformed::Shape("it is of the old on-premises product, which has messages at the top"));
    }
    if text(&webhook, "object") != Some("whatsapp_business_account") {
        return Err(Malformed::Shape("its object is not whatsapp_business_account"));
    }
    let (mut updates, mut kept) = (Vec::new(), 0);
    for entry in list(&webhook, "entry") {
        for change in list(entry, "changes") {
            let before = updates.len();
            read_change(account, change, &mut updates);
            // What is ignored makes no event: a history of many texts is taken, and its provider does not repeat it.
            kept += updates[before..].iter().filter(|update| !matches!(update, Update::Ignored(_))).count();
            if kept > MAX_UPDATES || updates.len() > MAX_READ {
                return Err(Malformed::TooMany);
            }
        }
    }
    Ok(updates)
}

fn read_change(account: &Account, change: &Value<'_>, updates: &mut Vec<Update>) {
    let value = field(change, "value").unwrap_or(&NULL);
    let account_id = field(value, "metadata").and_then(|metadata| id(metadata, "phone_number_id")).unwrap_or_default();
    let contacts = list(value, "contacts");
    let context = |is_outbound, is_history| Context { account_id: &account_id, contacts, is_outbound, is_history };
    let taken = account.takes(&account_id);
    let ignored = |messages: &[Value<'_>], why| vec![Update::Ignored(why); messages.len().max(1)];
    match text(change, "field") {
        Some("messages") => {
            for message in list(value, "messages") {
                let update = if taken {
                    message::read(message, &context(false, false))
                } else {
                    Update::Ignored(Ignored::OTHER_ACCOUNT)
                };
                updates.push(update);
            }
            updates.extend(list(value, "statuses").iter().map(|_| Update::Ignored(Ignored::STATUS)));
            updates.extend(list(value, "errors").iter().map(|_| Update::Ignored(Ignored::ERROR)));
        }
        Some("smb_message_echoes") => {
            let messages = list(value, "message_echoes");
            if !taken || !account.echoes {
                let why = if taken { Ignored::OUTBOUND } else { Ignored::OTHER_ACCOUNT };
                return updates.extend(ignored(messages, why));
            }
            updates.extend(messages.iter().map(|message| message::read(message, &context(true, false))));
        }
        Some("history") => {
            let chunks = list(value, "history").iter();
            let threads = chunks.flat_map(|chunk| list(chunk, "threads"));
            if !taken || !account.history {
                let why = if taken { Ignored::HISTORY } else { Ignored::OTHER_ACCOUNT };
                return updates.extend(threads.flat_map(|thread| ignored(list(thread, "messages"), why)));
            }
            for thread in threads {
                // The thread's id is the contact: a message from somebody else in it is one from us.
                let contact = id(thread, "id");
                for message in list(thread, "messages") {
                    let is_outbound = id(message, "from").is_some() && id(message, "from") != contact;
                    if is_outbound && !account.echoes {
                        updates.push(Update::Ignored(Ignored::OUTBOUND));
                    } else {
                        updates.push(message::read(message, &context(is_outbound, true)));
                    }
                }
            }
        }
        _ => updates.push(Update::Ignored(Ignored::UNKNOWN)),
    }
}
