//! How `deliver` is told of each fake, and what has to be there afterwards.

use serde_json::{Value, json};

use crate::support::crm::Crm;

/// One way of delivering to one CRM.
pub(crate) struct Vendor {
    /// Of the fake, and of the kind of destination.
    pub(crate) name: &'static str,
    /// Keys of the destination besides kind and url.
    pub(crate) keys: Vec<(&'static str, String)>,
    /// What there is in the CRM before; gives the context of the events.
    pub(crate) set_up: fn(&Crm) -> Value,
    /// How many notes have this marker, and all files and mails of the account.
    pub(crate) counts: fn(&Value, &str) -> Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// With the marker.
    pub(crate) notes: usize,
    /// Of all media.
    pub(crate) all_notes: usize,
    pub(crate) files: usize,
    /// Files that stand where they should.
    pub(crate) links: usize,
    /// What customers got.
    pub(crate) mails: u64,
}

pub(crate) fn list<'a>(state: &'a Value, pointer: &str) -> Vec<&'a Value> {
    state.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

pub(crate) fn has(value: &Value, words: &str) -> bool {
    value.to_string().contains(words)
}

pub(crate) fn salesforce() -> Vendor {
    Vendor {
        name: "salesforce",
        keys: vec![("client_id", "consumer".to_owned()), ("client_secret", "secret".to_owned())],
        set_up: |crm| {
            let create = |kind: &str, fields: Value| {
                crm.act(json!({"act": "create", "type": kind, "fields": fields}))["id"].clone()
            };
            let contact = create("Contact", json!({"LastName": "Ann", "MobilePhone": "+55 (11) 99999-0001"}));
            json!({ "salesforce_contact": contact, "case": create("Case", json!({"Subject": "x"})) })
        },
        counts: |state, marker| {
            let live = |name: &str| -> Vec<&Value> {
                list(state, &format!("/{name}")).into_iter().filter(|record| record["IsDeleted"] == false).collect()
            };
            let tasks = live("Task");
            Counts {
                notes: tasks.iter().filter(|task| has(task, marker)).count(),
                all_notes: tasks.len(),
                files: live("ContentVersion").len(),
                links: live("ContentDocumentLink").len() / 2,
                mails: 0,
            }
        },
    }
}

pub(crate) fn zendesk(with_ticket: bool) -> Vendor {
    let in_ticket: fn(&Crm) -> Value = |crm| {
        let user = crm.act(json!({"act": "user", "name": "Ann", "email": "ann@example.test"}))["id"].clone();
        let comment = json!({"body": "hello", "public": false});
        // All comments go to one ticket, which takes 30 in ten minutes.
        crm.act(json!({"act": "set", "updates_per_ticket": 10_000}));
        let ticket = crm.act(json!({"act": "ticket", "requester_id": user, "comment": comment}))["id"].clone();
        json!({ "ticket": ticket })
    };
    let of_user: fn(&Crm) -> Value = |crm| json!({ "zendesk_user": crm.act(json!({"act": "user", "name": "Ann", "phone": "+5511999990001"}))["id"] });
    Vendor {
        name: "zendesk",
        keys: vec![("client_id", "client".to_owned()), ("client_secret", "secret".to_owned())],
        set_up: if with_ticket { in_ticket } else { of_user },
        counts: |state, marker| {
            let comments: Vec<&Value> =
                list(state, "/tickets").into_iter().flat_map(|ticket| list(ticket, "/comments")).collect();
            let ours: Vec<&&Value> = comments.iter().filter(|comment| has(comment, "mediamill ")).collect();
            Counts {
                notes: comments.iter().filter(|comment| has(comment, marker)).count(),
                all_notes: ours.len(),
                // Uploads that no comment took end by themselves.
                files: ours.iter().map(|comment| list(comment, "/attachments").len()).sum(),
                links: ours.iter().filter(|comment| list(comment, "/attachments").len() == 1).count(),
                mails: state["mails"].as_u64().expect("a number"),
            }
        },
    }
}

/// With an app's tokens in place of a key.
pub(crate) fn hubspot_app() -> Vendor {
    let pair = |key: &'static str, value: &str| (key, value.to_owned());
    let keys = vec![pair("client_id", "client"), pair("client_secret", "secret"), pair("refresh_token", "refresh-1")];
    Vendor { keys, ..hubspot() }
}

pub(crate) fn hubspot() -> Vendor {
    Vendor {
        name: "hubspot",
        keys: vec![("token", "pat-test-key".to_owned())],
        set_up: |crm| {
            let made = crm.act(json!({"act": "create", "type": "contacts", "properties": {"phone": "+5511999990001"}}));
            crm.act(json!({"act": "set", "search_per_s": 1000, "max": 10000}));
            json!({ "hubspot_contact": made["id"] })
        },
        counts: |state, marker| {
            let notes: Vec<&Value> =
                list(state, "/objects/notes").into_iter().filter(|note| note["archived"] == false).collect();
            Counts {
                notes: notes.iter().filter(|note| has(note, marker)).count(),
                all_notes: notes.len(),
                files: list(state, "/files").into_iter().filter(|file| file["deleted"] == false).count(),
                links: list(state, "/associations").len(),
                mails: 0,
            }
        },
    }
}

pub(crate) fn chatwoot(with_conversation: bool) -> Vendor {
    let named: fn(&Crm) -> Value = |crm| {
        let contact = crm.act(json!({"act": "contact", "name": "Ann"}))["id"].clone();
        json!({ "conversation": crm.act(json!({"act": "conversation", "contact": contact}))["id"] })
    };
    let of_contact: fn(&Crm) -> Value = |crm| {
        let contact = crm.act(json!({"act": "contact", "name": "Ann", "phone_number": "+5511999990001"}))["id"].clone();
        crm.act(json!({"act": "conversation", "contact": contact}));
        json!({ "phone": "5511999990001" })
    };
    Vendor {
        name: "chatwoot",
        keys: vec![("token", "cw-token".to_owned()), ("account", "1".to_owned())],
        set_up: if with_conversation { named } else { of_contact },
        counts: |state, marker| {
            let live = |message: &&&Value| message["content_attributes"]["deleted"].is_null();
            let messages = list(state, "/messages");
            let messages: Vec<&&Value> = messages.iter().filter(live).collect();
            Counts {
                notes: messages.iter().filter(|message| has(message, marker)).count(),
                all_notes: messages.len(),
                files: messages.iter().map(|message| list(message, "/attachments").len()).sum(),
                links: messages.iter().filter(|message| list(message, "/attachments").len() == 1).count(),
                mails: state["sent"].as_u64().expect("a number"),
            }
        },
    }
}

pub(crate) fn zoho() -> Vendor {
    Vendor {
        name: "zoho",
        keys: vec![
            ("client_id", "client".to_owned()),
            ("client_secret", "secret".to_owned()),
            ("refresh_token", "refresh-1".to_owned()),
        ],
        set_up: |crm| {
            let fields = json!({"Last_Name": "Ann", "Mobile": "+55 (11) 99999-0001"});
            json!({ "zoho_contact": crm.act(json!({"act": "create", "type": "Contacts", "fields": fields}))["id"] })
        },
        counts: |state, marker| {
            let live = |pointer: &str| -> Vec<&Value> {
                list(state, pointer).into_iter().filter(|record| record["deleted"] == false).collect()
            };
            let (notes, files) = (live("/records/Notes"), live("/attachments"));
            let at_note = |file: &&&Value| notes.iter().any(|note| note["id"] == file["Parent_Id"]["id"]);
            Counts {
                notes: notes.iter().filter(|note| has(note, marker)).count(),
                all_notes: notes.len(),
                files: files.len(),
                links: files.iter().filter(at_note).count(),
                mails: state["workflows"].as_u64().expect("a number"),
            }
        },
    }
}
