//! Zoho CRM (version 8): a note on the contact or another record, with the file attached to the note.
//!
//! Facts and their sources: docs/deliver/zoho.md.

mod describe;
mod erase;
mod find;
mod judge;
mod login;
mod note;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::amendment::{Amendment, Written};
use super::api::Api;
use super::call::Call;
use super::destination::{Applied, Class, Destination, Failed, Ids, ReadBack, Residue, Step, Work};
use super::ledger::{Ledger, MediaKey, Row, Token};
use super::map::{Attachment, Missing, Prepared};
use super::tokens::{Tokens, is_unauthorized};
use crate::config;
use crate::egress::{Answer, Credential, Hosts, Method};
use crate::error::Code;

use login::Login;

/// The version that this was written for.
const VERSION: &str = "v8";
/// Zoho's data centres: the word for `account`, the accounts' server and the API's hosts.
const CENTRES: [(&str, &str, &str); 8] = [
    ("us", "https://accounts.zoho.com", "https://www.zohoapis.com"),
    ("eu", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    ("in", "https://accounts.zoho.in", "https://www.zohoapis.in"),
    ("au", "https://accounts.zoho.com.au", "https://www.zohoapis.com.au"),
    ("cn", "https://accounts.zoho.com.cn", "https://www.zohoapis.com.cn"),
    ("jp", "https://accounts.zoho.jp", "https://www.zohoapis.jp"),
    ("sa", "https://accounts.zoho.sa", "https://www.zohoapis.sa"),
    ("ca", "https://accounts.zohocloud.ca", "https://www.zohoapis.ca"),
];

/// An organization of Zoho CRM.
#[derive(Debug)]
pub struct Zoho {
    api: Api,
    login: Login,
    tokens: Tokens,
    /// Where requests are shown to go; the token's answer says where they go.
    base: String,
    version: String,
    region: String,
    hosts: Hosts,
    quota_percent: u8,
}

impl Zoho {
    /// The organization of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(name: &str, config: &config::Destination, api: Api, ledger: Option<&Ledger>) -> Result<Self, String> {
        for (key, is_empty) in [
            ("client_id", config.client_id.is_empty()),
            ("client_secret", config.client_secret.is_empty()),
            ("refresh_token", config.refresh_token.is_empty()),
        ] {
            if is_empty {
                return Err(format!("{key}: it must be there: a self client of Zoho's API console gives it"));
            }
        }
        let word = if config.account.is_empty() { "us" } else { &config.account };
        let centre = CENTRES.iter().find(|(centre, ..)| *centre == word);
        let words = || CENTRES.map(|(centre, ..)| centre).join(", ");
        let (_, accounts, api_host) = centre.ok_or_else(|| format!("account: must be a data centre: {}", words()))?;
        // A server of one's own stands for both, in tests.
        let url = config.url.trim_end_matches('/');
        let (accounts, base) = if url.is_empty() { (*accounts, *api_host) } else { (url, url) };
        let hosts = match config.hosts.as_slice() {
            // A sandbox and a developer's organization have hosts of their own.
            [] => {
                let domain = base.trim_start_matches("https://www.");
                Hosts::new(&[base.to_owned(), format!("sandbox.{domain}"), format!("developer.{domain}")])
                    .or_else(|_| Hosts::new(&[base]))
            }
            hosts => Hosts::new(hosts),
        };
        let hosts = hosts.map_err(|error| format!("hosts: {error}"))?;
        let login = Login {
            api: api.clone(),
            accounts: accounts.to_owned(),
            hosts: hosts.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            refresh_token: config.refresh_token.clone(),
        };
        let version = if config.api_version.is_empty() { VERSION } else { &config.api_version };
        Ok(Self {
            api,
            login,
            tokens: Tokens::new(name, ledger),
            base: base.to_owned(),
            version: version.to_owned(),
            region: config.region.clone(),
            hosts,
            quota_percent: config.quota_percent,
        })
    }

    /// `…/crm/v8/<rest>`
    fn path(&self, rest: &str) -> String {
        format!("{}/crm/{}/{rest}", self.base, self.version)
    }

    /// Sends a request; with a new token where the one before has ended. `writes` is whether it may have made something where
    /// its end is not known.
    async fn call(&self, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let send = |token: Token| async move { self.call_with(&token, call, writes).await };
        self.tokens.send(&self.login, is_unauthorized, send).await
    }

    async fn call_with(&self, token: &Token, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let path = call.url.strip_prefix(&self.base).unwrap_or(&call.url);
        let call = Call { url: format!("{}{path}", token.base_url), ..call.clone() };
        // Zoho's own scheme: Bearer is refused.
        let credential = Credential::authorization("Zoho-oauthtoken ", token.access.clone(), self.hosts.clone());
        let answer = self.api.send(&call, Some(credential)).await.map_err(|failed| match writes {
            true => failed,
            false => Failed { is_unknown: false, ..failed },
        })?;
        if let Some(wait) = judge::quota_wait(&answer, self.quota_percent) {
            self.api.gate().pause_for(wait);
        }
        Ok(answer)
    }

    /// The body of an answer that is a success in every part.
    async fn done(&self, call: &Call, writes: bool) -> Result<Value, Failed> {
        judge::done(&self.call(call, writes).await?, writes)
    }

    fn create_contact(&self, prepared: &Prepared) -> Call {
        let record = record(prepared.create.iter().chain(&prepared.fields));
        Call::json(Method::Post, self.path("Contacts"), body(record.into()))
    }

    fn update_contact(&self, prepared: &Prepared, contact: &Contact) -> Call {
        let record = record(prepared.fields.iter());
        Call::json(Method::Put, self.path(&format!("{}/{}", contact.module, contact.id)), body(record.into()))
    }

    async fn apply_step(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Applied, Failed> {
        let prepared = prepared(work)?;
        match (step.record.as_str(), step.name) {
            ("contact", "find") => self.find_contact(prepared).await,
            ("contact", "create") if contact(ids).is_some() => Ok(Applied::Nothing),
            ("contact", "create") => match self.done(&self.create_contact(prepared), true).await {
                Ok(made) => judge::id_of(&made).map(|id| Applied::Done(format!("Contacts/{id}"))),
                // Somebody was faster, or a field that has to be unique is known: what is there is taken.
                Err(failed) if failed.code == Code::DeliverRefused => match self.find_contact_id(prepared).await? {
                    Some(found) => Ok(Applied::Done(found)),
                    None => Err(failed),
                },
                Err(failed) => Err(failed),
            },
            ("contact", "update") => {
                let Some(contact) = contact(ids) else { return Ok(Applied::Nothing) };
                self.done(&self.update_contact(prepared, &contact), false).await.map_err(stale)?;
                Ok(Applied::Done(String::new()))
            }
            ("note", "create") => self.create_note(work, prepared, ids).await,
            ("tags", "add") => {
                self.done(&self.add_tags(prepared, &parent(prepared, ids)?), false).await?;
                Ok(Applied::Done(String::new()))
            }
            (record, "upload") => {
                let note = ids.get("note", "create").ok_or_else(unknown_step)?;
                let made = self.done(&self.upload(attachment(prepared, record)?, &note), true).await?;
                judge::id_of(&made).map(|id| Applied::Done(format!("{note}/{id}")))
            }
            _ => Err(unknown_step()),
        }
    }
}

impl Destination for Zoho {
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        let prepared = prepared(work)?;
        if prepared.activity.kind != "note" {
            return Err(Failed::mapping("activity.kind: must be note"));
        }
        if prepared.objects.len() > 1 {
            return Err(Failed::mapping(
                "objects: a note of Zoho CRM stands with one record: only one may have a value",
            ));
        }
        let (has_object, has_contact) = (!prepared.objects.is_empty(), !prepared.matches.is_empty());
        if !has_object && !has_contact {
            let text = "no way of the map's match has a value, and no other record is named";
            return Err(Failed::new(Class::Park, Code::DeliverNoRecord, text));
        }
        let mut steps = Vec::new();
        let needs_contact = has_contact && (!has_object || !prepared.fields.is_empty());
        if needs_contact {
            steps.push(Step::harmless("contact", "find"));
        }
        if needs_contact && prepared.on_missing == Missing::Create {
            steps.push(Step::doubles("contact", "create"));
        }
        if needs_contact && !prepared.fields.is_empty() {
            steps.push(Step::harmless("contact", "update"));
        }
        steps.push(Step::doubles("note", "create"));
        steps.extend(prepared.files.iter().map(|file| Step::doubles(format!("file:{}", file.role), "upload")));
        if !prepared.tags.is_empty() {
            steps.push(Step::harmless("tags", "add"));
        }
        Ok(steps)
    }

    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed> {
        let prepared = prepared(work)?;
        let shown =
            || contact(ids).unwrap_or_else(|| Contact { module: "Contacts".to_owned(), id: "{contact}".to_owned() });
        Ok(match (step.record.as_str(), step.name) {
            ("contact", "find") => prepared.matches.iter().flat_map(|way| self.search(way)).collect(),
            ("contact", "create") => vec![self.create_contact(prepared)],
            ("contact", "update") => vec![self.update_contact(prepared, &shown())],
            ("note", "create") => {
                vec![self.note_call(work, prepared, &parent(prepared, ids).unwrap_or_else(|_| shown()))]
            }
            ("tags", "add") => vec![self.add_tags(prepared, &parent(prepared, ids).unwrap_or_else(|_| shown()))],
            (record, "upload") => {
                let note = ids.get("note", "create").unwrap_or_default();
                vec![self.upload(attachment(prepared, record)?, &note)]
            }
            _ => return Err(unknown_step()),
        })
    }

    fn apply<'a>(&'a self, step: &'a Step, work: &'a Work<'a>, ids: &'a Ids) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.apply_step(step, work, ids))
    }

    fn read_back<'a>(
        &'a self,
        step: &'a Step,
        work: &'a Work<'a>,
        ids: &'a Ids,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async move {
            let prepared = prepared(work)?;
            let found = match (step.record.as_str(), step.name) {
                ("contact", "create") => self.find_contact_id(prepared).await?,
                ("note", "create") => {
                    let note = self.find_note(&parent(prepared, ids)?, &work.marker).await?;
                    note.map(|(id, _)| id)
                }
                (record, "upload") => {
                    let note = ids.get("note", "create").ok_or_else(unknown_step)?;
                    let name = &attachment(prepared, record)?.file.file_name;
                    let files = self.files_of(&note).await?;
                    files.into_iter().find(|(_, known)| known == name).map(|(id, _)| format!("{note}/{id}"))
                }
                _ => None,
            };
            Ok(found.map_or(ReadBack::NotThere, ReadBack::Found))
        })
    }

    fn amend<'a>(&'a self, note: Written<'a>, amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.amend_note(note, amendment))
    }

    fn erase<'a>(&'a self, _media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        Box::pin(self.erase_rows(rows))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { self.done(&Call::new(Method::Get, self.path("org")), false).await.map(drop) })
    }

    fn compare<'a>(&'a self, prepared: &'a Prepared) -> BoxFuture<'a, Result<Option<Vec<String>>, Failed>> {
        Box::pin(async { self.compare_fields(prepared).await.map(Some) })
    }

    fn setup(&self) -> String {
        SETUP.to_owned()
    }
}

const SETUP: &str = "\
In Zoho:
  1. The API console of your data centre: a Self Client, whose client_id and client_secret these are. Generate a code for the scopes
       ZohoCRM.modules.ALL, ZohoCRM.settings.fields.READ, ZohoCRM.settings.tags.CREATE, ZohoCRM.org.READ
     and exchange it for a refresh token (POST accounts…/oauth/v2/token, grant_type=authorization_code).
  2. account is the data centre: us, eu, in, au, cn, jp, sa or ca. A client of another one is refused for ever.
  3. Fields below [fields] and [create] of the map by their API names: Setup, Developer Hub, APIs, API names.
";

/// A contact or lead.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contact {
    module: String,
    id: String,
}

/// Records of a request. An empty trigger keeps workflows from running.
fn body(record: Value) -> Value {
    json!({ "data": [record], "trigger": [] })
}

/// Fields as Zoho takes them: lists and the rest as they are, since a multi-select picklist is a list of JSON.
fn record<'a>(fields: impl Iterator<Item = &'a (String, Value)>) -> Map<String, Value> {
    fields.cloned().collect()
}

fn prepared<'a>(work: &'a Work<'_>) -> Result<&'a Prepared, Failed> {
    work.prepared.as_ref().ok_or_else(|| Failed::mapping("there is no map"))
}

fn attachment<'a>(prepared: &'a Prepared, record: &str) -> Result<&'a Attachment, Failed> {
    let role = record.strip_prefix("file:").unwrap_or_default();
    prepared.files.iter().find(|file| file.role == role).ok_or_else(unknown_step)
}

/// The contact or lead that was found or created, kept as module and id.
fn contact(ids: &Ids) -> Option<Contact> {
    let kept = ids.first("contact", &["find", "create"])?;
    let (module, id) = kept.split_once('/')?;
    Some(Contact { module: module.to_owned(), id: id.to_owned() })
}

/// The record that the note stands with: the one that the map names, else the contact.
fn parent(prepared: &Prepared, ids: &Ids) -> Result<Contact, Failed> {
    let Some((module, id)) = prepared.objects.first() else { return contact(ids).ok_or_else(unknown_step) };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failed::mapping(format!("objects.{module}: it is no number")));
    }
    Ok(Contact { module: module.clone(), id: id.clone() })
}

/// A record that is no longer there was looked up too long ago.
fn stale(failed: Failed) -> Failed {
    if failed.code == Code::DeliverNoRecord { Failed { class: Class::Stale, ..failed } } else { failed }
}

fn unknown_step() -> Failed {
    Failed::mapping("a step is not known")
}
