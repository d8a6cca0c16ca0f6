//! `GET /v1/media`, `GET /v1/media/{tenant}/{media_id}` and `POST /v1/revocations`.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::model::{Media, MediaObject, MediaPage, Revocation};
use super::problem::{Refusal, expect};
use super::record::{Trail, hashes};
use super::route::{Door, Route};
use super::{Api, body, expect_there, json};
use crate::error::Code;
use crate::links::{Subject, object_name, role_name, segment};
use crate::privacy::audit;
use crate::roles::catalog::access::{Action, Caller, Decision};
use crate::roles::catalog::index::{Filter, MediaState, Place, Row};
use crate::roles::catalog::objects;

/// Rows of a page where no number is asked for.
const DEFAULT_ROWS: u32 = 50;
/// How often the database is asked again for one page, where rows of the ones before it were not for the caller.
const MAX_LOOKS: usize = 5;
/// Longest value of a parameter in bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// What a search asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) limit: u32,
    cursor: Option<String>,
    /// The search without its cursor, which a cursor belongs to.
    search: String,
}

impl Api {
    pub(super) async fn search(&self, request: &Parts) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let asked = Asked::parse(request.uri.query().unwrap_or_default(), self.0.config.page_rows)?;
        self.expect(request, &caller, Action::View, &asked.filter.tenant)?;
        let (rows, next) = self.find(&caller, asked).await?;
        self.note_rows(request, "search", &rows, None).await?;
        let items = rows.iter().map(|row| media(row, false)).collect();
        json(StatusCode::OK, &MediaPage { items, next })
    }

    /// Goes on where they may do this with the tenant.
    pub(super) fn expect(&self, request: &Parts, caller: &Caller, action: Action, tenant: &str) -> Result<(), Refusal> {
        let decision = caller.may(action, tenant);
        // The name of a tenant that is not theirs is whatever they wrote.
        if decision != Decision::NotTheirs {
            Trail::of(request).is_of(tenant);
        }
        expect(decision)
    }

    /// Notes a list that is about to be shown: whoever stands in it was seen.
    pub(super) async fn note_rows(
        &self,
        request: &Parts,
        about: &str,
        rows: &[Row],
        contact: Option<&str>,
    ) -> Result<(), Refusal> {
        let seen = rows.iter().flat_map(|row| &row.contacts).map(String::as_str).chain(contact);
        self.note(request, audit::Action::View, |entry| {
            entry.contact = hashes(seen);
            entry.about = Some(about.to_owned());
        })
        .await
    }

    /// A page of rows that the caller may see, and the cursor of the next one.
    pub(super) async fn find(&self, caller: &Caller, asked: Asked) -> Result<(Vec<Row>, Option<String>), Refusal> {
        let Asked { mut filter, limit, cursor, search } = asked;
        let (kinds, tags) = caller.confines(&filter.tenant);
        filter.any_tag = tags;
        if filter.kinds.is_empty() {
            filter.kinds = kinds;
        }
        if let Some(contact) = caller.contact() {
            if filter.contact.as_deref().is_some_and(|asked| asked != contact) {
                return Err(Refusal::of(Code::CatalogNotFound));
            }
            filter.contact = Some(contact.to_owned());
        }
        filter.now = Timestamp::now();
        let read = |text: &String| {
            self.0.cursors.read(text, &search).ok_or_else(|| Refusal::invalid("cursor: is not one of this search"))
        };
        let mut after: Option<Place> = cursor.as_ref().map(read).transpose()?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found: Vec<Row> = Vec::new();
        for _ in 0..MAX_LOOKS {
            let rows = self.0.index.find(&filter, after, limit + 1).await?;
            let is_last = rows.len() <= most;
            for row in rows.into_iter().take(most) {
                if found.len() == most {
                    return Ok((found, after.map(|place| self.0.cursors.write(place, &search))));
                }
                after = Some(row.place);
                if caller.may_with(Action::View, &row, None) == Decision::Yes {
                    found.push(row);
                }
            }
            if is_last {
                return Ok((found, None));
            }
            if found.len() == most {
                break;
            }
        }
        Ok((found, after.map(|place| self.0.cursors.write(place, &search))))
    }

    pub(super) async fn media(&self, request: &Parts, tenant: &str, media_id: &str) -> Result<Response<Body>, Refusal> {
        let row = self.row(request, &Door::Identity, tenant, media_id).await?.1;
        self.note(request, audit::Action::View, |entry| entry.about = Some("facts".to_owned())).await?;
        json(StatusCode::OK, &media(&row, true))
    }

    /// Who asks, and the row, where they may see it.
    pub(super) async fn row(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        media_id: &str,
    ) -> Result<(Caller, Row), Refusal> {
        let caller = self.caller(request, door, tenant, Some(media_id)).await?;
        let row = self.0.index.get(tenant, media_id).await?.ok_or(Refusal::of(Code::CatalogNotFound))?;
        Trail::of(request).is_for(&row);
        // Of an erased media nobody knows whose it was: whoever may see the tenant is told, and whoever has its link.
        if row.state == MediaState::Erased {
            let is_link = matches!(door, Door::MediaLink(_));
            if !is_link {
                expect(if caller.contact().is_some() {
                    Decision::NotTheirs
                } else {
                    caller.may(Action::View, tenant)
                })?;
            }
            return Err(Refusal::erased(row.certificate));
        }
        expect(caller.may_with(Action::View, &row, None))?;
        expect_there(&row)?;
        Ok((caller, row))
    }

    /// `{"link": "https://…/c/…"}`: the link opens nothing any more.
    pub(super) async fn revoke(&self, request: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let bytes = body::read(body).await?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| Refusal::invalid("the body is not JSON"))?;
        let link = value.get("link").and_then(Value::as_str).ok_or_else(|| Refusal::invalid("link: must be a link"))?;
        let wrong = || Refusal::invalid("link: is not a capability link of this catalogue");
        let path = Url::parse(link).map_or_else(|_| link.to_owned(), |url| url.path().to_owned());
        let prefix = Url::parse(&self.0.public_url)
            .map_or_else(|_| String::new(), |url| url.path().trim_end_matches('/').to_owned());
        let path = path.strip_prefix(&prefix).unwrap_or(&path);
        let (door, tenant, media_id) = match Route::parse(path).ok_or_else(wrong)? {
            Route::Object { door, tenant, media_id, .. } | Route::Player { door, tenant, media_id } => {
                (door, tenant, media_id)
            }
            Route::Timeline { door, tenant, .. } | Route::Archive { door, tenant, .. } => (door, tenant, String::new()),
            _ => return Err(wrong()),
        };
        self.expect(request, &caller, Action::Revoke, &tenant)?;
        let (capability, subject) = match &door {
            Door::Identity => return Err(wrong()),
            Door::MediaLink(capability) => (capability, Subject::Media { tenant: &tenant, media_id: &media_id }),
            Door::ContactLink { capability, contact } => (capability, Subject::Contact { tenant: &tenant, contact }),
        };
        let now = Timestamp::now();
        let links = self.0.links.as_ref().ok_or_else(wrong)?;
        // One that has expired is as good as revoked, and may be revoked all the same.
        let capability = links.verify(capability, &subject, Timestamp::UNIX_EPOCH).map_err(|_| wrong())?;
        let about = format!("revoked {} of {}", capability.id, capability.destination);
        self.note(request, audit::Action::Link, |entry| entry.about = Some(about)).await?;
        self.0.overrides.revoke(&capability.id, now).await?;
        self.0.index.revoke(&capability.id, now).await?;
        tracing::info!(link = capability.id, destination = capability.destination, "a link is revoked");
        json(StatusCode::OK, &Revocation { link: capability.id, revoked_at: now.to_string() })
    }
}

impl Asked {
    pub(super) fn parse(query: &str, most: u32) -> Result<Self, Refusal> {
        let mut asked = Self { limit: DEFAULT_ROWS.min(most), ..Self::default() };
        let mut search: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.len() > MAX_VALUE_BYTES {
                return Err(Refusal::invalid(format!("a value has more than {MAX_VALUE_BYTES} bytes")));
            }
            match &*key {
                "cursor" => asked.cursor = Some(value.clone().into_owned()),
                "limit" => asked.limit = limit(&value, most)?,
                _ => asked.put(&key, &value)?,
            }
            if !matches!(&*key, "cursor" | "limit") {
                search.push((key.into_owned(), value.into_owned()));
            }
        }
        if asked.filter.tenant.is_empty() {
            return Err(Refusal::invalid("tenant: must be there"));
        }
        search.sort();
        asked.search = form_urlencoded::Serializer::new(String::new()).extend_pairs(search).finish();
        Ok(asked)
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let filter = &mut self.filter;
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        let time = || value.parse::<Timestamp>().map(Some);
        let wrong = |key: &str| Refusal::invalid(format!("{key}: must be a time such as 2026-11-22T10:00:00Z"));
        match key {
            "tenant" => value.clone_into(&mut filter.tenant),
            "contact" => filter.contact = text,
            "from" => filter.from = time().map_err(|_| wrong("from"))?,
            "to" => filter.to = time().map_err(|_| wrong("to"))?,
            "channel" => filter.channel = text,
            "direction" => filter.direction = text,
            "profile" => filter.profile = text,
            "code" => filter.code = text,
            "q" => filter.text = text,
            "kind" => filter.kinds.extend(text),
            "tag" => filter.tags.extend(text),
            "state" => {
                let known =
                    MediaState::parse(value).filter(|state| !matches!(state, MediaState::Erased | MediaState::Waiting));
                filter.state =
                    Some(known.ok_or_else(|| Refusal::invalid("state: must be normalized, rejected or failed"))?);
            }
            // A condition that is spelled wrongly would find more than was asked for.
            _ => return Err(Refusal::invalid("there is a parameter that no search has")),
        }
        Ok(())
    }
}

fn limit(value: &str, most: u32) -> Result<u32, Refusal> {
    let limit: u32 = value.parse().map_err(|_| Refusal::invalid("limit: must be a number"))?;
    if (1..=most).contains(&limit) { Ok(limit) } else { Err(Refusal::of(Code::CatalogLimitRows)) }
}

/// A row as the API answers it; `whole` with the data of its outcome.
pub(super) fn media(row: &Row, whole: bool) -> Media {
    let base = format!("/v1/media/{}/{}", segment(&row.tenant), segment(&row.media_id));
    let objects = objects(&row.data).into_iter().map(|object| MediaObject {
        role: role_name(object.role).to_owned(),
        path: format!("{base}/{}", object_name(object.role, &object.key)),
        mime_type: object.mime_type,
        size_bytes: object.size_bytes,
        sha256: object.sha256,
        duration_ms: object.duration_ms,
    });
    Media {
        tenant: row.tenant.clone(),
        media_id: row.media_id.clone(),
        state: row.state.as_str().to_owned(),
        revision: row.revision,
        sent_at: row.sent_at.to_string(),
        outcome_at: row.outcome_at.to_string(),
        expires_at: row.expires_at.map(|at| at.to_string()),
        kind: row.kind.clone(),
        channel: row.channel.clone(),
        direction: row.direction.clone(),
        profile: row.profile.clone(),
        code: row.code.clone(),
        file_name: row.file_name.clone(),
        caption: row.caption.clone(),
        transcript: row.transcript.clone(),
        tags: row.tags.clone(),
        contacts: row.contacts.clone(),
        objects: objects.collect(),
        data: whole.then(|| row.data.clone()),
    }
}
