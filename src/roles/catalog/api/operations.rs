//! `GET /operations` and `POST /operations/replays`: the page of an operator.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use url::form_urlencoded;

use super::Api;
use super::body::read;
use super::problem::{Refusal, expect};
use super::record::Trail;
use crate::error::Code;
use crate::privacy::{Erasure, audit};
use crate::roles::catalog::player::{Begun, DeadLetterQueue, Operations, operations_page};
use crate::roles::catalog::waiting::{Waiting, is_reason, meaning};

impl Api {
    /// What is stored, what waits, and how far erasures are.
    pub(super) async fn operations(&self, request: &Parts) -> Result<Response<Body>, Refusal> {
        self.expect_operator(request).await?;
        self.note(request, audit::Action::View, |entry| entry.about = Some("operations".to_owned())).await?;
        let mut page = Operations { counts: self.0.index.counts().await?, ..Operations::default() };
        let replayed = request.uri.query().and_then(|query| query.strip_prefix("replayed="));
        page.replayed = replayed.and_then(|count| count.parse().ok());
        match tokio::try_join!(self.0.mailroom.dead(), self.0.mailroom.unrouted()) {
            Ok((waiting, unrouted)) => {
                let shown = |one: &Waiting| one.reasons.iter().map(|(_, _, count)| u64::from(*count)).sum::<u64>();
                page.more_letters = waiting.iter().map(|one| u64::from(one.count).saturating_sub(shown(one))).sum();
                page.letters = Some(waiting.into_iter().flat_map(letters).collect());
                page.unrouted = unrouted;
            }
            Err(error) => tracing::warn!(%error, "the page of operations has no dead letters"),
        }
        match self.0.office.begun().await {
            Ok(erasures) => page.erasures = Some(erasures.into_iter().map(begun).collect()),
            Err(error) => tracing::warn!(%error, "the page of operations has no erasures"),
        }
        self.html(operations_page(&page, Timestamp::now()))
    }

    /// Moves dead letters back to where they were, and leads to the page again.
    pub(super) async fn replay(&self, request: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
        self.expect_operator(request).await?;
        let (queue, reason) = asked(request, body).await?;
        if !self.0.mailroom.has(&queue) || !is_reason(&reason) {
            return Err(Refusal::invalid("there is no such dead-letter queue, or no such reason"));
        }
        let about = format!("replay {reason} of {queue}");
        self.note(request, audit::Action::Replay, |entry| entry.about = Some(about)).await?;
        let count = self.0.mailroom.replay(&queue, &reason).await.map_err(|error| {
            tracing::error!(%error, "dead letters are not replayed");
            Refusal::of(Code::BrokerUnavailable)
        })?;
        tracing::info!(count, "dead letters are replayed");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        // Beside the path of this request, whatever stands before it at a proxy.
        if let Ok(location) = HeaderValue::from_str(&format!("../operations?replayed={count}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    }

    /// Goes on for operators. What waits is of every tenant.
    async fn expect_operator(&self, request: &Parts) -> Result<(), Refusal> {
        let caller = self.identity(request).await?;
        Trail::of(request).is_of("*");
        expect(caller.may_operate())
    }
}

/// Queue and reason of a form.
async fn asked(request: &Parts, body: Body) -> Result<(String, String), Refusal> {
    let kind = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Refusal::invalid("Content-Type must be application/x-www-form-urlencoded"));
    }
    let body = read(body).await?;
    let (mut queue, mut reason) = (None, None);
    for (key, value) in form_urlencoded::parse(&body) {
        match &*key {
            "queue" => queue = Some(value.into_owned()),
            "reason" => reason = Some(value.into_owned()),
            _ => {}
        }
    }
    queue.zip(reason).ok_or_else(|| Refusal::invalid("queue and reason must be there"))
}

fn letters(waiting: Waiting) -> impl Iterator<Item = DeadLetterQueue> {
    let Waiting { queue, reasons, .. } = waiting;
    reasons.into_iter().map(move |(reason, back_to, count)| DeadLetterQueue {
        queue: queue.clone(),
        meaning: meaning(&reason),
        reason,
        back_to,
        count,
    })
}

fn begun(erasure: Erasure) -> Begun {
    let held = erasure.plan.iter().flatten().filter(|media| !media.held_for.is_empty()).count();
    Begun {
        media: erasure.plan.as_ref().map(Vec::len),
        held,
        selected_by: erasure.selector.as_str(),
        number: erasure.number,
        tenant: erasure.tenant,
        requested_at: erasure.requested_at,
    }
}
