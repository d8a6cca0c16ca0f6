//! Zendesk: a private comment with the file on a ticket, or a ticket of its own.
//!
//! Facts and their sources: docs/deliver/zendesk.md.

mod describe;
mod erase;
mod find;
mod judge;
mod login;
mod ticket;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::amendment::{Amendment, Written};
use super::api::{Api, json as body_of};
use super::call::Call;
use super::destination::{Applied, Class, Destination, Failed, Ids, ReadBack, Residue, Step, Work};
use super::ledger::{Ledger, MediaKey, Row, Token};
use super::map::{Missing, Prepared};
use super::tokens::{Tokens, is_unauthorized};
use crate::config;
use crate::egress::{Answer, Credential, Hosts, Method};
use crate::error::Code;
use crate::secrets::Secret;

use login::Login;

/// An account of Zendesk Support.
#[derive(Debug)]
pub struct Zendesk {
    api: Api,
    access: Access,
    base: String,
    region: String,
    hosts: Hosts,
    quota_percent: u8,
    /// Numbers of ticket fields by their titles, in lower case. Read once: the numbers differ from account to account.
    fields: OnceCell<BTreeMap<String, u64>>,
}

/// How requests are authorized.
#[derive(Debug)]
enum Access {
    /// OAuth.
    Tokens { login: Box<Login>, tokens: Tokens },
    /// An agent's address and an API token. Zendesk ends them: no new ones since 2026-10-27, none at all from 2027-04-30 on.
    ApiToken { user: Secret, token: Secret },
}

impl Zendesk {
    /// The account of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(name: &str, config: &config::Destination, api: Api, ledger: Option<&Ledger>) -> Result<Self, String> {
        let base = match (config.url.as_str(), config.account.as_str()) {
            ("", "") => return Err("account: the subdomain must be there, such as acme of acme.zendesk.com".to_owned()),
            ("", account) => format!("https://{account}.zendesk.com"),
            (url, _) => url.trim_end_matches('/').to_owned(),
        };
        let hosts = match config.hosts.as_slice() {
            [] => Hosts::new(&[base.as_str()]),
            hosts => Hosts::new(hosts),
        };
        let hosts = hosts.map_err(|error| format!("hosts: {error}"))?;
        let access = if config.client_id.is_empty() {
            if config.user.is_empty() || config.token.is_empty() {
                return Err("client_id: an OAuth client must be there, or user and token (an API token)".to_owned());
            }
            tracing::warn!(
                destination = name,
                "this destination uses an API token of Zendesk, which ends on 2027-04-30: make an OAuth client before"
            );
            // Basic authentication wants them joined so.
            Access::ApiToken { user: Secret::from(format!("{}/token", config.user)), token: config.token.clone() }
        } else {
            if config.client_secret.is_empty() {
                return Err("client_secret: it must be there with client_id".to_owned());
            }
            let login = Login {
                api: api.clone(),
                base: base.clone(),
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                refresh_token: config.refresh_token.clone(),
            };
            Access::Tokens { login: Box::new(login), tokens: Tokens::new(name, ledger) }
        };
        Ok(Self {
            api,
            access,
            base,
            region: config.region.clone(),
            hosts,
            quota_percent: config.quota_percent,
            fields: OnceCell::new(),
        })
    }

    /// `…/api/v2/<rest>`
    fn path(&self, rest: &str) -> String {
        format!("{}/api/v2/{rest}", self.base)
    }

    /// Sends a request; with a new token where the one before has ended. `writes` is whether it may have made something where
    /// its end is not known.
    async fn call(&self, call: &Call, writes: bool) -> Result<Answer, Failed> {
        let (login, tokens) = match &self.access {
            Access::ApiToken { user, token } => {
                let credential = Credential::basic(user.clone(), token.clone(), self.hosts.clone());
                return self.call_with(credential, call, writes).await;
            }
            Access::Tokens { login, tokens } => (login.as_ref(), tokens),
        };
        let send = |token: Token| self.call_with(Credential::bearer(token.access, self.hosts.clone()), call, writes);
        tokens.send(login, is_unauthorized, send).await
    }

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

    fn update_contact(&self, prepared: &Prepared, id: &str) -> Call {
        let fields: serde_json::Map<String, Value> = prepared.fields.iter().cloned().collect();
        Call::json(Method::Put, self.path(&format!("users/{id}")), json!({ "user": { "user_fields": fields } }))
    }

    async fn apply_step(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Applied, Failed> {
        let prepared = prepared(work)?;
        match (step.record.as_str(), step.name) {
            ("contact", "find") => self.find_user(prepared).await,
            ("contact", "create") => match contact(ids) {
                Some(_) => Ok(Applied::Nothing),
                None => self.create_user(prepared).await,
            },
            ("contact", "update") => {
                let Some(id) = contact(ids) else { return Ok(Applied::Nothing) };
                self.done(&self.update_contact(prepared, &id), false).await.map_err(stale)?;
                Ok(Applied::Done(String::new()))
            }
            ("ticket", "find") => self.find_ticket(prepared).await,
            ("ticket", "create") if ids.get("ticket", "find").is_some() => Ok(Applied::Nothing),
            ("ticket", "create") => self.create_ticket(work, prepared, ids).await,
            ("comment", "create") => match ids.get("ticket", "find") {
                Some(ticket) => self.create_comment(work, prepared, &ticket).await,
                // The ticket that was made has it as its first one.
                None => Ok(Applied::Nothing),
            },
            ("tags", "add") => match ids.get("ticket", "find") {
                Some(ticket) => {
                    self.done(&self.add_tags(prepared, &ticket), false).await?;
                    Ok(Applied::Done(String::new()))
                }
                None => Ok(Applied::Nothing),
            },
            _ => Err(unknown_step()),
        }
    }
}

impl Destination for Zendesk {
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        let prepared = prepared(work)?;
        if prepared.activity.kind != "comment" {
            return Err(Failed::mapping("activity.kind: must be comment"));
        }
        if let Some((object, _)) = prepared.objects.iter().find(|(object, _)| object != "ticket") {
            return Err(Failed::mapping(format!("objects.{object}: only ticket is known")));
        }
        let (has_ticket, has_contact) = (!prepared.objects.is_empty(), !prepared.matches.is_empty());
        if !has_ticket && !has_contact && prepared.on_missing == Missing::Park {
            let text = "no way of the map's match has a value, and no ticket is named";
            return Err(Failed::new(Class::Park, Code::DeliverNoRecord, text));
        }
        let mut steps = Vec::new();
        let needs_contact = has_contact && (!has_ticket || !prepared.fields.is_empty());
        if needs_contact {
            steps.push(Step::harmless("contact", "find"));
        }
        if needs_contact && prepared.on_missing == Missing::Create {
            // By an external id of ours: a second time it finds the first.
            steps.push(Step::harmless("contact", "create"));
        }
        if needs_contact && !prepared.fields.is_empty() {
            steps.push(Step::harmless("contact", "update"));
        }
        if has_ticket {
            steps.push(Step::harmless("ticket", "find"));
        }
        // Without a ticket, and where the ticket is closed.
        steps.push(Step::doubles("ticket", "create"));
        if has_ticket {
            steps.push(Step::doubles("comment", "create"));
            if !prepared.tags.is_empty() {
                steps.push(Step::harmless("tags", "add"));
            }
        }
        Ok(steps)
    }

    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed> {
        let prepared = prepared(work)?;
        let ticket = || ids.get("ticket", "find").unwrap_or_default();
        let has_ticket = !prepared.objects.is_empty();
        Ok(match (step.record.as_str(), step.name) {
            ("contact", "find") => prepared.matches.iter().flat_map(|way| self.search(way)).collect(),
            ("contact", "create") => vec![self.upsert_user(prepared)?],
            ("contact", "update") => vec![self.update_contact(prepared, &contact(ids).unwrap_or_default())],
            ("ticket", "find") => vec![self.read_ticket(prepared)?],
            // Shown is what is sent to an open ticket; a closed one gets a follow-up.
            ("ticket", "create") if has_ticket => Vec::new(),
            ("ticket", "create") => {
                self.shown_with_uploads(prepared, self.ticket_call(work, prepared, ids, &self.shown(prepared))?)
            }
            ("comment", "create") => {
                self.shown_with_uploads(prepared, self.comment_call(work, prepared, &ticket(), &self.shown(prepared))?)
            }
            ("tags", "add") => vec![self.add_tags(prepared, &ticket())],
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
            let event_id = &work.subject.event_id;
            let found = match (step.record.as_str(), step.name) {
                ("ticket", "create") => self.find_made_ticket(event_id).await?,
                ("comment", "create") => match ids.get("ticket", "find") {
                    Some(ticket) => {
                        self.find_comment(&ticket, event_id).await?.map(|comment| remote_id(&ticket, comment))
                    }
                    None => None,
                },
                _ => None,
            };
            Ok(found.map_or(ReadBack::NotThere, ReadBack::Found))
        })
    }

    fn adds(&self) -> Option<&'static str> {
        Some("comment")
    }

    fn amend<'a>(&'a self, note: Written<'a>, amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.add_comment(note, amendment))
    }

    fn read_amendment<'a>(
        &'a self,
        note: Written<'a>,
        amendment: &'a Amendment,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async move {
            let home = note.id.split('/').next().unwrap_or_default();
            let found = self.find_comment(home, &amendment.event_id).await?;
            Ok(found.map_or(ReadBack::NotThere, |id| ReadBack::Found(format!("{home}/{id}"))))
        })
    }

    fn erase<'a>(&'a self, _media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        Box::pin(self.erase_rows(rows))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { self.done(&Call::new(Method::Get, self.path("users/me")), false).await.map(drop) })
    }

    fn compare<'a>(&'a self, prepared: &'a Prepared) -> BoxFuture<'a, Result<Option<Vec<String>>, Failed>> {
        Box::pin(async { self.compare_fields(prepared).await.map(Some) })
    }

    fn setup(&self) -> String {
        SETUP.to_owned()
    }
}

const SETUP: &str = "\
In Zendesk's Admin Center:
  1. Apps and integrations, APIs, OAuth clients: a confidential client. Its identifier is client_id, its secret client_secret; the
     client credentials grant acts as the admin who made it. (API tokens work until 2027-04-30 at most.)
  2. Objects and rules, Tickets, Fields: the fields that [activity.fields] of the map names by their titles.
  3. People, User fields: the fields that [fields] of the map names by their keys.
  4. For the erasure of comments: an admin, or an agent whose role may redact ticket content.
Private attachments (Objects and rules, Tickets, Settings) keep files from everybody who merely has their URL.
";

/// A ticket and a comment in it, as the ledger keeps them.
fn remote_id(ticket: &str, comment: u64) -> String {
    format!("{ticket}/{comment}")
}

fn prepared<'a>(work: &'a Work<'_>) -> Result<&'a Prepared, Failed> {
    work.prepared.as_ref().ok_or_else(|| Failed::mapping("there is no map"))
}

/// The user that was found or created.
fn contact(ids: &Ids) -> Option<String> {
    ids.first("contact", &["find", "create"])
}

/// A number as an id.
fn id_at(body: &Value, pointer: &str) -> Result<String, Failed> {
    let id = body.pointer(pointer).and_then(Value::as_u64).map(|id| id.to_string());
    id.ok_or_else(|| {
        Failed::transient(Code::DeliverUnavailable, "Zendesk answers without the id of what it made").unknown()
    })
}

/// A record that is no longer there was looked up too long ago.
fn stale(failed: Failed) -> Failed {
    if failed.code == Code::DeliverNoRecord { Failed { class: Class::Stale, ..failed } } else { failed }
}

fn unknown_step() -> Failed {
    Failed::mapping("a step is not known")
}
