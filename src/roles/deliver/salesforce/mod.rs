//! Salesforce: a task in the contact's timeline, or a record of an own object, with the file.
//!
//! Facts and their sources: docs/deliver/salesforce.md.

mod activity;
mod describe;
mod erase;
mod files;
mod find;
mod judge;
mod login;

use futures_util::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::amendment::{Amendment, Written};
use super::api::{Api, json as body_of};
use super::call::Call;
use super::destination::{Applied, Class, Destination, Failed, Ids, ReadBack, Residue, Step, Work};
use super::ledger::{Ledger, MediaKey, Row, Token};
use super::map::{Attachment, Missing, Prepared};
use super::tokens::{Tokens, is_unauthorized};
use crate::config;
use crate::egress::{Answer, Credential, Hosts, Method};
use crate::error::Code;

use login::Login;

/// The version that this was written for: Spring '26.
const VERSION: &str = "66.0";

/// An org of Salesforce.
#[derive(Debug)]
pub struct Salesforce {
    api: Api,
    login: Login,
    tokens: Tokens,
    base: String,
    version: String,
    region: String,
    hosts: Hosts,
    quota_percent: u8,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A task: it stands in the timeline, and has to be read back where its end is not known.
    Task,
    /// A record of `Mediamill_Media__c`: it has a key of its own, so that writing it twice is the same as writing it once.
    Media,
}

impl Salesforce {
    /// The org of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(name: &str, config: &config::Destination, api: Api, ledger: Option<&Ledger>) -> Result<Self, String> {
        if config.url.is_empty() {
            return Err("url: the org's My Domain must be there, such as https://acme.my.salesforce.com".to_owned());
        }
        if config.client_id.is_empty() {
            return Err("client_id: the consumer key of an External Client App must be there".to_owned());
        }
        if config.client_secret.is_empty() && (config.private_key.is_empty() || config.user.is_empty()) {
            return Err("client_secret: it must be there, or private_key and user (JWT bearer)".to_owned());
        }
        let base = config.url.trim_end_matches('/').to_owned();
        let hosts = match config.hosts.as_slice() {
            [] => Hosts::new(&[base.as_str(), "*.my.salesforce.com"]),
            hosts => Hosts::new(hosts),
        };
        let hosts = hosts.map_err(|error| format!("hosts: {error}"))?;
        let login = Login {
            api: api.clone(),
            base: base.clone(),
            hosts: hosts.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            user: config.user.clone(),
            private_key: config.private_key.clone(),
        };
        let version = if config.api_version.is_empty() { VERSION } else { &config.api_version };
        Ok(Self {
            api,
            login,
            tokens: Tokens::new(name, ledger),
            base,
            version: version.trim_start_matches('v').to_owned(),
            region: config.region.clone(),
            hosts,
            quota_percent: config.quota_percent,
        })
    }

    /// `…/services/data/vNN.0/<rest>`
    fn data(&self, rest: &str) -> String {
        format!("{}{}", self.base, self.data_path(rest))
    }

    fn data_path(&self, rest: &str) -> String {
        format!("/services/data/v{}/{rest}", self.version)
    }

    fn query(&self, soql: &str) -> Call {
        Call::new(Method::Get, self.data(&format!("query?q={}", utf8_percent_encode(soql, NON_ALPHANUMERIC))))
    }

    fn sosl(&self, sosl: &str) -> Call {
        Call::new(Method::Get, self.data(&format!("search/?q={}", utf8_percent_encode(sosl, NON_ALPHANUMERIC))))
    }

    /// Sends a request; with a new token where the one before has ended. `writes` is whether it may have made something where
    /// its end is not known.
    async fn call(&self, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let is_refusal = |answer: &Answer| is_unauthorized(answer) && !judge::is_hopeless(answer);
        let send = |token: Token| async move { self.call_with(&token, call, writes).await };
        self.tokens.send(&self.login, is_refusal, send).await
    }

    async fn call_with(&self, token: &Token, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let path = call.url.strip_prefix(&self.base).unwrap_or(&call.url);
        let call = Call { url: format!("{}{path}", token.base_url), ..call.clone() };
        let credential = Credential::bearer(token.access.clone(), self.hosts.clone());
        let answer = self.api.send(&call, Some(credential)).await.map_err(|failed| match writes {
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
        Call::json(Method::Post, self.data("sobjects/Contact"), record(all).into())
    }

    fn update_contact(&self, prepared: &Prepared, id: &str) -> Call {
        let object = find::object_of(id).unwrap_or("Contact");
        let body = record(prepared.fields.iter()).into();
        Call::json(Method::Patch, self.data(&format!("sobjects/{object}/{id}")), body)
    }

    async fn apply_step(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Applied, Failed> {
        let prepared = prepared(work)?;
        match (step.record.as_str(), step.name) {
            ("contact", "find") => self.find_contact(prepared).await,
            ("contact", "create") if contact(ids).is_some() => Ok(Applied::Nothing),
            ("contact", "create") => {
                let answer = self.call(&self.create_contact(prepared), true).await?;
                if answer.is_success() {
                    return id_of(&body_of(&answer)).map(Applied::Done);
                }
                // A rule of the org knows the contact already, or somebody was faster: what is there is taken.
                if ["DUPLICATES_DETECTED", "DUPLICATE_VALUE"].contains(&judge::code_of(&body_of(&answer)).as_str())
                    && let Some(id) = self.find_contact_id(prepared).await?
                {
                    return Ok(Applied::Done(id));
                }
                Err(judge::failed(&answer, true))
            }
            ("contact", "update") => {
                let Some(id) = contact(ids) else { return Ok(Applied::Nothing) };
                self.done(&self.update_contact(prepared, &id), false).await.map_err(stale)?;
                Ok(Applied::Done(String::new()))
            }
            ("task", "create") => {
                let call = self.create_task(work, prepared, ids);
                id_of(&self.done(&call, true).await.map_err(stale)?).map(Applied::Done)
            }
            ("media", "upsert") => {
                let call = self.upsert_media(work, prepared, ids);
                id_of(&self.done(&call, false).await.map_err(stale)?).map(Applied::Done)
            }
            (record, "upload") => {
                let call = self.upload(attachment(prepared, record)?, home(prepared, ids));
                id_of(&self.done(&call, true).await.map_err(stale)?).map(Applied::Done)
            }
            (record, "link") => self.link(record, prepared, ids).await,
            _ => Err(unknown_step()),
        }
    }
}

impl Destination for Salesforce {
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        let prepared = prepared(work)?;
        let kind = kind(prepared)?;
        if !prepared.tags.is_empty() {
            return Err(Failed::mapping("tags: Salesforce has none; let the map set a field instead"));
        }
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
        // The record first: the file is published at it.
        steps.push(match kind {
            Kind::Task => Step::doubles("task", "create"),
            Kind::Media => Step::harmless("media", "upsert"),
        });
        for file in &prepared.files {
            let record = format!("file:{}", file.role);
            steps.push(Step::doubles(record.clone(), "upload"));
            if usize::from(has_contact) + prepared.objects.len() + usize::from(kind == Kind::Media) > 1 {
                steps.push(Step::harmless(record, "link"));
            }
        }
        Ok(steps)
    }

    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed> {
        let prepared = prepared(work)?;
        Ok(match (step.record.as_str(), step.name) {
            ("contact", "find") => prepared.matches.iter().filter_map(|way| self.search(way)).collect(),
            ("contact", "create") => vec![self.create_contact(prepared)],
            ("contact", "update") => vec![self.update_contact(prepared, &contact(ids).unwrap_or_default())],
            ("task", "create") => vec![self.create_task(work, prepared, ids)],
            ("media", "upsert") => vec![self.upsert_media(work, prepared, ids)],
            (record, "upload") => vec![self.upload(attachment(prepared, record)?, home(prepared, ids))],
            (record, "link") => self.link_call(record, prepared, ids)?.into_iter().collect(),
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
        _ids: &'a Ids,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async move {
            let prepared = prepared(work)?;
            let found = match (step.record.as_str(), step.name) {
                ("contact", "create") => self.find_contact_id(prepared).await?,
                ("task", "create") => self.find_task(&work.marker).await?,
                (record, "upload") => self.find_file(&attachment(prepared, record)?.file.file_name).await?,
                _ => None,
            };
            Ok(found.map_or(ReadBack::NotThere, ReadBack::Found))
        })
    }

    fn amend<'a>(&'a self, note: Written<'a>, amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.amend_record(note, amendment))
    }

    fn erase<'a>(&'a self, media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        Box::pin(self.erase_rows(media, rows))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { self.done(&Call::new(Method::Get, self.data("limits")), false).await.map(drop) })
    }

    fn compare<'a>(&'a self, prepared: &'a Prepared) -> BoxFuture<'a, Result<Option<Vec<String>>, Failed>> {
        Box::pin(async { self.compare_fields(prepared).await.map(Some) })
    }

    fn setup(&self) -> String {
        SETUP.to_owned()
    }
}

const SETUP: &str = "\
In Salesforce:
  1. Setup, External Client App Manager: an app with OAuth, the scope api, and the client credentials flow (run as a user of its
     own for this integration) or the JWT bearer flow (upload the certificate of private_key, and let the user be pre-authorized).
  2. A permission set for that user: API Enabled; Contact and Lead: read (edit where the map has [fields]); Task: edit;
     Salesforce Files: create.
That is all for activity.kind = \"task\". For activity.kind = \"media\", an object of its own, whose records have a key:
  Mediamill_Media__c (label Media), with
    Media_Key__c       Text(64), External ID, Unique (case insensitive)
    Contact__c         Lookup(Contact)
    Lead__c            Lookup(Lead)
    Opportunity__c, Case__c, Account__c: lookups, as far as [objects] of the map names them
    Kind__c            Text(40)
    Outcome__c         Text(40)
    Summary__c         Long Text Area(32000)
    Link__c            URL
    Received_At__c     Date/Time
    Duration_Seconds__c  Number(9,0)
  Give the permission set edit rights to all of its fields: a field that the user may not see is INVALID_FIELD although it exists.
";

/// Fields as Salesforce takes them: lists as `a;b`, the rest as it is.
fn record<'a>(fields: impl Iterator<Item = &'a (String, Value)>) -> Map<String, Value> {
    let value = |value: &Value| match value {
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            Value::from(words.collect::<Vec<_>>().join(";"))
        }
        other => other.clone(),
    };
    fields.map(|(name, field)| (name.clone(), value(field))).collect()
}

fn kind(prepared: &Prepared) -> Result<Kind, Failed> {
    match prepared.activity.kind.as_str() {
        "task" => Ok(Kind::Task),
        "media" => Ok(Kind::Media),
        _ => Err(Failed::mapping("activity.kind: must be task or media")),
    }
}

fn prepared<'a>(work: &'a Work<'_>) -> Result<&'a Prepared, Failed> {
    work.prepared.as_ref().ok_or_else(|| Failed::mapping("there is no map"))
}

fn attachment<'a>(prepared: &'a Prepared, record: &str) -> Result<&'a Attachment, Failed> {
    let role = record.strip_prefix("file:").unwrap_or_default();
    prepared.files.iter().find(|file| file.role == role).ok_or_else(unknown_step)
}

/// The contact or lead that was found or created.
fn contact(ids: &Ids) -> Option<String> {
    ids.first("contact", &["find", "create"])
}

/// The record that a file is published at: the own one, else the contact, else the first record that the map names.
fn home(prepared: &Prepared, ids: &Ids) -> Option<String> {
    let own = (prepared.activity.kind == "media").then(|| ids.get("media", "upsert")).flatten();
    let named = || prepared.objects.first().map(|(_, id)| id.clone());
    let contact = || contact(ids).filter(|_| !prepared.matches.is_empty());
    own.or_else(contact).or_else(named)
}

fn id_of(body: &Value) -> Result<String, Failed> {
    let id = body.get("id").and_then(Value::as_str).filter(|id| find::is_id(id)).map(str::to_owned);
    id.ok_or_else(|| {
        let text = "Salesforce answers without the id of what it made";
        Failed::transient(Code::DeliverUnavailable, text).unknown()
    })
}

/// A record that is no longer there was looked up too long ago.
fn stale(failed: Failed) -> Failed {
    if failed.code == Code::DeliverNoRecord { Failed { class: Class::Stale, ..failed } } else { failed }
}

fn unknown_step() -> Failed {
    Failed::mapping("a step is not known")
}
