//! HubSpot: a note with a file on the contact, and on deals and tickets where the map names them.
//!
//! Paths carry the version of the API, by date. All values of properties are text. Facts and their sources: docs/deliver/hubspot.md.

mod describe;
mod erase;
mod find;
mod judge;
mod login;
mod note;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::amendment::{Amendment, Written};
use super::api::{Api, json as body_of};
use super::call::{Body, Call, Part};
use super::destination::{Applied, Class, Destination, Failed, Ids, ReadBack, Residue, Step, Work};
use super::ledger::{Ledger, MediaKey, Row, Token};
use super::map::{Attachment, Missing, Prepared};
use super::tokens::{Tokens, is_unauthorized};
use crate::config;
use crate::egress::{Answer, Credential, Hosts, Method};
use crate::error::Code;
use crate::secrets::Secret;
use login::Login;

/// The vendor's API.
const BASE: &str = "https://api.hubapi.com";
/// The version that this was written for.
const VERSION: &str = "2026-03";
/// Where files go in the account's file manager.
const FOLDER: &str = "/mediamill";

/// An account of HubSpot.
#[derive(Debug)]
pub struct Hubspot {
    api: Api,
    base: String,
    version: String,
    region: String,
    access: Access,
    hosts: Hosts,
    quota_percent: u8,
}

/// How requests are authorized.
#[derive(Debug)]
enum Access {
    /// A service key, or the token of a private app: it has no end.
    Key(Secret),
    /// An app of HubSpot's, installed in the account.
    App { login: Box<Login>, tokens: Tokens },
}

impl Hubspot {
    /// The account of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(name: &str, config: &config::Destination, api: Api, ledger: Option<&Ledger>) -> Result<Self, String> {
        let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let base = or(&config.url, BASE).trim_end_matches('/').to_owned();
        let hosts = match config.hosts.as_slice() {
            [] => Hosts::new(&[base.as_str()]),
            hosts => Hosts::new(hosts),
        };
        let version = or(&config.api_version, VERSION);
        let access = if config.client_id.is_empty() {
            if config.token.is_empty() {
                return Err("token: a service key of HubSpot must be there, or client_id of an app".to_owned());
            }
            Access::Key(config.token.clone())
        } else {
            if config.client_secret.is_empty() || config.refresh_token.is_empty() {
                return Err("client_secret and refresh_token: they must be there with client_id".to_owned());
            }
            let login = Login {
                api: api.clone(),
                url: format!("{base}/oauth/{version}/token"),
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                refresh_token: config.refresh_token.clone(),
            };
            Access::App { login: Box::new(login), tokens: Tokens::new(name, ledger) }
        };
        Ok(Self {
            api,
            access,
            hosts: hosts.map_err(|error| format!("hosts: {error}"))?,
            base,
            version,
            region: config.region.clone(),
            quota_percent: config.quota_percent,
        })
    }

    /// `…/crm/objects/<version>/<rest>`
    fn objects(&self, rest: &str) -> String {
        format!("{}/crm/objects/{}/{rest}", self.base, self.version)
    }

    /// `…/files/<version>/files<rest>`
    fn files(&self, rest: &str) -> String {
        format!("{}/files/{}/files{rest}", self.base, self.version)
    }

    /// Sends a request; with a new token where the one before has ended. `writes` is whether it may have made something where
    /// its end is not known.
    async fn call(&self, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let send = |access: Secret| self.call_with(Credential::bearer(access, self.hosts.clone()), call, writes);
        match &self.access {
            Access::Key(key) => send(key.clone()).await,
            Access::App { login, tokens } => {
                tokens.send(login.as_ref(), is_unauthorized, |token: Token| send(token.access)).await
            }
        }
    }

    /// Slows down where the quota is nearly used up.
    async fn call_with(&self, credential: Credential, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let answer = self.api.send(call, Some(credential)).await.map_err(|failed| match writes {
            true => failed,
            false => Failed { is_unknown: false, ..failed },
        })?;
        if let Some(wait) = judge::quota_wait(&answer, self.quota_percent) {
            self.api.gate().pause_for(wait);
        }
        Ok(answer)
    }

    /// The same for a request whose success is 2xx.
    async fn done(&self, call: &Call, writes: bool) -> Result<Value, Failed> {
        let answer = self.call(call, writes).await?;
        if answer.is_success() { Ok(body_of(&answer)) } else { Err(judge::failed(&answer, writes)) }
    }

    fn create_contact(&self, prepared: &Prepared) -> Call {
        let all = prepared.create.iter().chain(&prepared.fields);
        Call::json(Method::Post, self.objects("contacts"), json!({ "properties": properties(all) }))
    }

    fn update_contact(&self, prepared: &Prepared, id: &str) -> Call {
        let body = json!({ "properties": properties(prepared.fields.iter()) });
        Call::json(Method::Patch, self.objects(&format!("contacts/{id}")), body)
    }

    fn upload(&self, attachment: &Attachment) -> Call {
        // Never PUBLIC_…: that would be a public URL of a customer's voice.
        let options = json!({ "access": "PRIVATE" }).to_string();
        let parts = vec![
            Part::text("options", options),
            Part::text("folderPath", FOLDER),
            Part::text("fileName", attachment.file.file_name.clone()),
            Part::file("file", attachment.file.clone()),
        ];
        Call { body: Body::Multipart(parts), ..Call::new(Method::Post, self.files("")) }
    }

    async fn apply_step(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Applied, Failed> {
        let prepared = prepared(work)?;
        match (step.record.as_str(), step.name) {
            ("contact", "find") => self.find_contact(prepared).await,
            ("contact", "create") if contact(ids).is_some() => Ok(Applied::Nothing),
            ("contact", "create") => {
                let answer = self.call(&self.create_contact(prepared), true).await?;
                if answer.status == 409
                    && let Some(id) = judge::existing_id(&answer)
                {
                    return Ok(Applied::Done(id));
                }
                if !answer.is_success() {
                    return Err(judge::failed(&answer, true));
                }
                id_of(&body_of(&answer)).map(Applied::Done)
            }
            ("contact", "update") => {
                let Some(id) = contact(ids) else { return Ok(Applied::Nothing) };
                self.done(&self.update_contact(prepared, &id), false).await.map_err(stale)?;
                Ok(Applied::Done(String::new()))
            }
            ("note", "create") => {
                let call = self.create_note(work, prepared, ids)?;
                id_of(&self.done(&call, true).await.map_err(stale)?).map(Applied::Done)
            }
            (record, "upload") => {
                let call = self.upload(attachment(prepared, record)?);
                id_of(&self.done(&call, true).await?).map(Applied::Done)
            }
            (record, "associate") => {
                let call = self.associate(record, prepared, ids)?;
                self.done(&call, false).await?;
                Ok(Applied::Done(String::new()))
            }
            _ => Err(unknown_step()),
        }
    }
}

impl Destination for Hubspot {
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        let prepared = prepared(work)?;
        if prepared.matches.is_empty() && prepared.objects.is_empty() && prepared.on_missing == Missing::Park {
            let text = "no way of the map's match has a value, and no other record is named";
            return Err(Failed::new(Class::Park, Code::DeliverNoRecord, text));
        }
        let mut steps = Vec::new();
        let has_contact = !prepared.matches.is_empty();
        if has_contact {
            steps.push(Step::harmless("contact", "find"));
        }
        if prepared.on_missing == Missing::Create && has_contact {
            steps.push(Step::doubles("contact", "create"));
        }
        if !prepared.fields.is_empty() && has_contact {
            steps.push(Step::harmless("contact", "update"));
        }
        steps.extend(prepared.files.iter().map(|file| Step::doubles(format!("file:{}", file.role), "upload")));
        steps.push(Step::doubles("note", "create"));
        steps.extend(prepared.objects.iter().map(|(object, _)| Step::harmless(object.clone(), "associate")));
        Ok(steps)
    }

    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed> {
        let prepared = prepared(work)?;
        let id = || contact(ids).unwrap_or_default();
        Ok(match (step.record.as_str(), step.name) {
            ("contact", "find") => prepared.matches.iter().filter_map(|way| self.search(way)).collect(),
            ("contact", "create") => vec![self.create_contact(prepared)],
            ("contact", "update") => vec![self.update_contact(prepared, &id())],
            ("note", "create") => vec![self.create_note(work, prepared, ids)?],
            (record, "upload") => vec![self.upload(attachment(prepared, record)?)],
            (record, "associate") => vec![self.associate(record, prepared, ids)?],
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
            match (step.record.as_str(), step.name) {
                ("contact", "create") => match self.find_contact_id(prepared).await? {
                    Some(id) => Ok(ReadBack::Found(id)),
                    None => Ok(ReadBack::NotThere),
                },
                ("note", "create") => self.find_note(contact(ids).as_deref(), &work.marker).await,
                (record, "upload") => self.find_file(attachment(prepared, record)?).await,
                _ => Ok(ReadBack::NotThere),
            }
        })
    }

    fn amend<'a>(&'a self, note: Written<'a>, amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.amend_note(note, amendment))
    }

    fn erase<'a>(&'a self, media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        Box::pin(self.erase_rows(media, rows))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async {
            let call = Call::new(Method::Get, self.objects("contacts?limit=1"));
            self.done(&call, false).await.map(drop)
        })
    }

    fn compare<'a>(&'a self, prepared: &'a Prepared) -> BoxFuture<'a, Result<Option<Vec<String>>, Failed>> {
        Box::pin(async { self.compare_fields(prepared).await.map(Some) })
    }

    fn setup(&self) -> String {
        SETUP.to_owned()
    }
}

const SETUP: &str = "\
HubSpot needs a service key (Settings, Integrations, Service Keys), or an app of your own that is installed with OAuth, with these scopes:
  crm.objects.contacts.read    find contacts, and read their notes back
  crm.objects.contacts.write   write notes; create or update contacts where the map does
  files                        upload files, and delete them when a media is erased
  crm.objects.deals.write      where the map names deals
  tickets                      where the map names tickets
Properties below [fields] and [create] of the map must exist: Settings, Properties, Contact properties.
";

/// All values are text: lists as `a;b`, booleans and numbers as they are written in JSON.
fn properties<'a>(fields: impl Iterator<Item = &'a (String, Value)>) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(";")
        }
        other => other.to_string(),
    };
    fields.map(|(name, value)| (name.clone(), Value::from(text(value)))).collect::<serde_json::Map<_, _>>().into()
}

fn prepared<'a>(work: &'a Work<'_>) -> Result<&'a Prepared, Failed> {
    work.prepared.as_ref().ok_or_else(|| Failed::mapping("there is no map"))
}

fn attachment<'a>(prepared: &'a Prepared, record: &str) -> Result<&'a Attachment, Failed> {
    let role = record.strip_prefix("file:").unwrap_or_default();
    prepared.files.iter().find(|file| file.role == role).ok_or_else(unknown_step)
}

/// The contact that was found or created.
fn contact(ids: &Ids) -> Option<String> {
    ids.first("contact", &["find", "create"])
}

fn id_of(body: &Value) -> Result<String, Failed> {
    let id = match body.get("id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    let nameless = || Failed::transient(Code::DeliverUnavailable, "HubSpot answers without the id of what it made");
    id.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .ok_or_else(|| nameless().unknown())
}

/// A record that is no longer there was looked up too long ago.
fn stale(failed: Failed) -> Failed {
    if failed.code == Code::DeliverNoRecord { Failed { class: Class::Stale, ..failed } } else { failed }
}

fn unknown_step() -> Failed {
    Failed::mapping("a step is not known")
}

/// The wait for a policy of HubSpot's quota.
fn policy_wait(policy: &str) -> Duration {
    match policy {
        "SECONDLY" => Duration::from_secs(1),
        // Until midnight of the account, whose time zone is not known.
        "DAILY" => Duration::from_secs(3600),
        _ => Duration::from_secs(10),
    }
}
