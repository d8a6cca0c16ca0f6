//! Chatwoot: a private note with the file in the conversation.
//!
//! Facts and their sources: docs/deliver/chatwoot.md.

mod find;
mod message;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::amendment::{Amendment, Written};
use super::api::{Api, json as body_of, judged};
use super::call::Call;
use super::destination::{Applied, Class, Destination, Failed, Ids, ReadBack, Residue, Step, Work};
use super::ledger::{MediaKey, Row};
use super::map::{Missing, Prepared};
use crate::config;
use crate::egress::{Answer, Credential, Hosts, Method};
use crate::error::Code;
use crate::secrets::Secret;

/// The vendor's own installation.
const BASE: &str = "https://app.chatwoot.com";
/// The header of access tokens.
const HEADER: &str = "api_access_token";

/// An account of Chatwoot.
#[derive(Debug)]
pub struct Chatwoot {
    api: Api,
    base: String,
    account: String,
    region: String,
    token: Secret,
    hosts: Hosts,
}

impl Chatwoot {
    /// The account of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(config: &config::Destination, api: Api) -> Result<Self, String> {
        if config.token.is_empty() {
            return Err("token: the access token of an agent or an agent bot must be there".to_owned());
        }
        if config.account.is_empty() || !config.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("account: the number of the account must be there, as in …/app/accounts/1".to_owned());
        }
        let base = if config.url.is_empty() { BASE } else { config.url.trim_end_matches('/') }.to_owned();
        let hosts = match config.hosts.as_slice() {
            [] => Hosts::new(&[base.as_str()]),
            hosts => Hosts::new(hosts),
        };
        Ok(Self {
            api,
            hosts: hosts.map_err(|error| format!("hosts: {error}"))?,
            base,
            account: config.account.clone(),
            region: config.region.clone(),
            token: config.token.clone(),
        })
    }

    /// `…/api/v1/accounts/<account>/<rest>`
    fn path(&self, rest: &str) -> String {
        format!("{}/api/v1/accounts/{}/{rest}", self.base, self.account)
    }

    /// Sends a request. `writes` is whether it may have made something where its end is not known.
    async fn call(&self, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let credential = Credential::header(HEADER, self.token.clone(), self.hosts.clone());
        self.api.send(call, Some(credential)).await.map_err(|failed| match writes {
            true => failed,
            false => Failed { is_unknown: false, ..failed },
        })
    }

    /// The same for a request whose success is 2xx.
    async fn done(&self, call: &Call, writes: bool) -> Result<Value, Failed> {
        let answer = self.call(call, writes).await?;
        if answer.is_success() { Ok(body_of(&answer)) } else { Err(failed(&answer, writes)) }
    }

    async fn apply_step(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Applied, Failed> {
        let prepared = prepared(work)?;
        match (step.record.as_str(), step.name) {
            ("contact", "find") => self.find_contact(prepared).await,
            ("conversation", "find") if !prepared.objects.is_empty() => conversation(prepared, ids).map(Applied::Done),
            ("conversation", "find") => self.find_conversation(prepared, ids).await,
            ("message", "create") => {
                let id = conversation(prepared, ids)?;
                let body = self.done(&self.create_message(work, prepared, &id)?, true).await.map_err(stale)?;
                message::message_id(&id, &body)
            }
            ("labels", "add") => self.add_labels(prepared, &conversation(prepared, ids)?).await,
            _ => Err(unknown_step()),
        }
    }
}

impl Destination for Chatwoot {
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        let prepared = prepared(work)?;
        if prepared.activity.kind != "message" {
            return Err(Failed::mapping("activity.kind: must be message"));
        }
        if let Some((object, _)) = prepared.objects.iter().find(|(object, _)| object != "conversation") {
            return Err(Failed::mapping(format!("objects.{object}: only conversation is known")));
        }
        if prepared.on_missing == Missing::Create || !prepared.fields.is_empty() {
            let text = "on_missing may be park or skip, and there are no fields: Chatwoot's own channel makes contacts";
            return Err(Failed::mapping(text));
        }
        let mut steps = Vec::new();
        if prepared.objects.is_empty() {
            if prepared.matches.is_empty() {
                let text = "no way of the map's match has a value, and no conversation is named";
                return Err(Failed::new(Class::Park, Code::DeliverNoRecord, text));
            }
            steps.push(Step::harmless("contact", "find"));
        }
        // Noted in the ledger where the map names it, too: erasing looks there.
        steps.push(Step::harmless("conversation", "find"));
        // Text and files are one request.
        steps.push(Step::doubles("message", "create"));
        if !prepared.tags.is_empty() {
            steps.push(Step::harmless("labels", "add"));
        }
        Ok(steps)
    }

    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed> {
        let prepared = prepared(work)?;
        Ok(match (step.record.as_str(), step.name) {
            ("contact", "find") => prepared.matches.iter().flat_map(|way| self.search(way)).collect(),
            ("conversation", "find") if !prepared.objects.is_empty() => Vec::new(),
            ("conversation", "find") => vec![self.list_conversations(&ids.get("contact", "find").unwrap_or_default())],
            ("message", "create") => vec![self.create_message(work, prepared, &conversation(prepared, ids)?)?],
            ("labels", "add") => {
                let id = conversation(prepared, ids)?;
                vec![self.read_labels(&id), self.write_labels(&id, &prepared.tags)]
            }
            _ => return Err(unknown_step()),
        })
    }

    fn apply<'a>(&'a self, step: &'a Step, work: &'a Work<'a>, ids: &'a Ids) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.apply_step(step, work, ids))
    }

    fn read_back<'a>(
        &'a self,
        _step: &'a Step,
        work: &'a Work<'a>,
        ids: &'a Ids,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async move {
            let id = conversation(prepared(work)?, ids)?;
            let found = self.find_message(&id, &work.marker).await?;
            Ok(found.map_or(ReadBack::NotThere, |message| ReadBack::Found(format!("{id}/{message}"))))
        })
    }

    fn adds(&self) -> Option<&'static str> {
        Some("message")
    }

    fn amend<'a>(&'a self, note: Written<'a>, amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.add_message(note, amendment))
    }

    fn read_amendment<'a>(
        &'a self,
        note: Written<'a>,
        amendment: &'a Amendment,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async move {
            let home = note.id.split('/').next().unwrap_or_default();
            let found = self.find_message(home, &amendment.marker()).await?;
            Ok(found.map_or(ReadBack::NotThere, |id| ReadBack::Found(format!("{home}/{id}"))))
        })
    }

    fn erase<'a>(&'a self, _media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        Box::pin(self.erase_rows(rows))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { self.done(&Call::new(Method::Get, self.path("inboxes")), false).await.map(drop) })
    }

    fn setup(&self) -> String {
        SETUP.to_owned()
    }
}

const SETUP: &str = "\
In Chatwoot:
  1. An agent of its own for this integration, in every inbox whose conversations get notes.
  2. Its access token (Profile settings, Access token) is token; the number in …/app/accounts/<number> is account.
A reverse proxy before an installation of your own must let headers with underscores pass (api_access_token).
";

/// An answer without success. Chatwoot has no codes: texts are not repeated, they may hold values.
fn failed(answer: &Answer, writes: bool) -> Failed {
    let mut failed = judged(answer, "", writes);
    match answer.status {
        404 => (failed.class, failed.code) = (Class::Park, Code::DeliverNoRecord),
        413 => (failed.class, failed.code) = (Class::Park, Code::DeliverRefused),
        _ => {}
    }
    failed
}

/// The conversation that the map names, or that was found.
fn conversation(prepared: &Prepared, ids: &Ids) -> Result<String, Failed> {
    let Some((_, id)) = prepared.objects.first() else {
        return ids.get("conversation", "find").ok_or_else(unknown_step);
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failed::mapping("objects.conversation: it is no number"));
    }
    Ok(id.clone())
}

fn prepared<'a>(work: &'a Work<'_>) -> Result<&'a Prepared, Failed> {
    work.prepared.as_ref().ok_or_else(|| Failed::mapping("there is no map"))
}

/// A record that is no longer there was looked up too long ago.
fn stale(failed: Failed) -> Failed {
    if failed.code == Code::DeliverNoRecord { Failed { class: Class::Stale, ..failed } } else { failed }
}

fn unknown_step() -> Failed {
    Failed::mapping("a step is not known")
}
