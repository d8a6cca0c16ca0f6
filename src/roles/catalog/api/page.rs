//! The pages: player and timeline.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use url::form_urlencoded;

use super::Api;
use super::problem::Refusal;
use super::route::Door;
use super::search::Asked;
use crate::error::Code;
use crate::privacy::audit;
use crate::roles::catalog::access::{Action, Caller, Decision};
use crate::roles::catalog::index::Row;
use crate::roles::catalog::player::{Entry, Facts, Timeline, bars, media_page, policy, timeline_page};
use crate::roles::catalog::{Object, objects};
use crate::vocabulary::Role;

/// Rows of a page of the timeline: with them it has 30 kB at most.
const ROWS: u32 = 25;

impl Api {
    pub(super) async fn player(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        media_id: &str,
    ) -> Result<Response<Body>, Refusal> {
        let (caller, row) = self.row(request, door, tenant, media_id).await?;
        self.note(request, audit::Action::View, |entry| entry.about = Some("page".to_owned())).await?;
        let objects = theirs(&caller, &row);
        let bars = self.bars(&caller, &row, &objects).await;
        let is_below_timeline = matches!(door, Door::ContactLink { .. }) || request.uri.path().starts_with("/k/");
        let back = is_below_timeline.then(|| "../".to_owned());
        self.html(media_page(&Facts { row: &row, objects, bars, back }))
    }

    pub(super) async fn timeline(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        contact: &str,
    ) -> Result<Response<Body>, Refusal> {
        let caller = self.caller(request, door, tenant, None).await?;
        self.expect(request, &caller, Action::View, tenant)?;
        let mut timeline = Timeline::default();
        let mut search =
            vec![("tenant", tenant.to_owned()), ("contact", contact.to_owned()), ("limit", ROWS.to_string())];
        for (key, value) in form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
            match &*key {
                "kind" => timeline.kind = value.into_owned(),
                "q" => timeline.words = value.into_owned(),
                "cursor" => {
                    timeline.is_later_page = true;
                    search.push(("cursor", value.into_owned()));
                }
                _ => {}
            }
        }
        search.extend([("kind", timeline.kind.clone()), ("q", timeline.words.clone())]);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(search).finish();
        let (rows, next) = self.find(&caller, Asked::parse(&query, ROWS)?).await?;
        self.note_rows(request, "timeline", &rows, Some(contact)).await?;
        timeline.older = next.map(|cursor| {
            let pairs = [("kind", &timeline.kind), ("q", &timeline.words), ("cursor", &cursor)];
            let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        });
        let entry = |row: Row| Entry { objects: theirs(&caller, &row), row };
        timeline.entries = rows.into_iter().map(entry).collect();
        self.html(timeline_page(&timeline))
    }

    /// Heights of the waveform: the peaks are in the outcome, or in an object where the profile says so and in outcomes of
    /// before. Without them the page still plays.
    async fn bars(&self, caller: &Caller, row: &Row, objects: &[Object]) -> Vec<u8> {
        let may = caller.may_with(Action::View, row, Some(Role::Peaks)) == Decision::Yes;
        if let Some(peaks) = row.data.get("peaks").filter(|_| may) {
            return bars(peaks);
        }
        let Some(object) = objects.iter().find(|object| object.role == Role::Peaks) else { return Vec::new() };
        let json = self.0.store.get(&object.key).await.ok().flatten();
        let value = json.and_then(|json| serde_json::from_slice(&json).ok());
        value.map(|value| bars(&value)).unwrap_or_default()
    }

    pub(super) fn html(&self, page: String) -> Result<Response<Body>, Refusal> {
        self.html_in(page, &self.0.config.frame_ancestors)
    }

    /// A page that these origins may show in a frame.
    pub(super) fn html_in(&self, page: String, ancestors: &[String]) -> Result<Response<Body>, Refusal> {
        let policy = policy(self.0.store_origin.as_deref(), ancestors);
        let policy = HeaderValue::from_str(&policy).map_err(|_| Refusal::of(Code::CatalogBroken))?;
        let mut response = Response::new(Body::from(page));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }
}

/// The files that the caller may have.
fn theirs(caller: &Caller, row: &Row) -> Vec<Object> {
    let may = |object: &Object| caller.may_with(Action::View, row, Some(object.role)) == Decision::Yes;
    objects(&row.data).into_iter().filter(may).collect()
}
