//! `POST /v1/erasures`, `GET /v1/erasures/{tenant}/{id}`, `POST /v1/holds` and `POST /v1/subjects`.

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::body::parse;
use super::model::{ErasureAsked, ErasureProgress, ErasureState, HoldAccepted, HoldAsked, SubjectAsked};
use super::problem::{Refusal, expect};
use super::record::Trail;
use super::{Api, json};
use crate::error::Code;
use crate::events::Erase;
use crate::links::segment;
use crate::privacy::audit;
use crate::privacy::{Erasure, Selector};
use crate::roles::catalog::access::{Action, Caller, Decision};
use crate::roles::catalog::index::MediaState;
use crate::roles::catalog::office::{Office, Progress};

impl Api {
    /// Begins an erasure. It is in force when it is answered, and is carried out after that.
    pub(super) async fn erase(&self, request: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let (asked, erased_at) = parse::<ErasureAsked>(request, body).await?.event(Timestamp::now())?;
        let selector = self.meant(request, &caller, Action::Erase, &asked).await?;
        let wanted = Office::request(&asked, selector, erased_at);
        let number = wanted.number.clone();
        self.note_officer(request, audit::Action::EraseBegun, &wanted.selector, &number).await?;
        let erasure = self.0.office.erase(&asked, wanted).await?;
        let (tenant, path) = (&asked.tenant, format!("/v1/erasures/{}/{number}", segment(&asked.tenant)));
        tracing::info!(tenant, number, selected_by = erasure.selector.as_str(), "an erasure is begun");
        let mut response = json(StatusCode::ACCEPTED, &begun(erasure))?;
        if let Ok(path) = HeaderValue::from_str(&path) {
            response.headers_mut().insert(LOCATION, path);
        }
        Ok(response)
    }

    /// How far an erasure is, for those who may erase or read the audit log.
    pub(super) async fn erasure(&self, request: &Parts, tenant: &str, number: &str) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let decisions = [Action::Erase, Action::Audit].map(|action| caller.may_with_all(action, tenant, &[]));
        let decision = if decisions.contains(&Decision::Yes) { Decision::Yes } else { decisions[0] };
        if decision != Decision::NotTheirs {
            Trail::of(request).is_of(tenant);
        }
        expect(decision)?;
        let progress = self.0.office.progress(tenant, number).await?.ok_or(Refusal::of(Code::CatalogNotFound))?;
        self.note(request, audit::Action::View, |entry| entry.about = Some(format!("erasure {number}"))).await?;
        json(StatusCode::OK, &state(progress))
    }

    /// Sets or releases a hold. It is in force when it is answered.
    pub(super) async fn hold(&self, request: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let (hold, meant, decided_at) = parse::<HoldAsked>(request, body).await?.event(Timestamp::now())?;
        let selector = self.meant(request, &caller, Action::Hold, &meant).await?;
        let id = Uuid::now_v7().to_string();
        let action = if hold.held { audit::Action::HoldSet } else { audit::Action::HoldLifted };
        // With the id: the same hold, set again after it was released, is no repetition.
        self.note_officer(request, action, &selector, &format!("{} by {id}", hold.case_id)).await?;
        self.0.office.hold(&id, &hold, &selector, decided_at).await?;
        tracing::info!(tenant = hold.tenant, id, held = hold.held, "a hold is set or released");
        let (tenant, case_id, held) = (hold.tenant, hold.case_id, hold.held);
        json(StatusCode::ACCEPTED, &HoldAccepted { id, tenant, case_id, held, decided_at: decided_at.to_string() })
    }

    /// Everything that is held of somebody.
    pub(super) async fn subject(&self, request: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
        let caller = self.identity(request).await?;
        let meant = parse::<SubjectAsked>(request, body).await?.meant()?;
        let selector = self.meant(request, &caller, Action::Export, &meant).await?;
        let found = self.0.office.subject(&*self.0.index, &meant.tenant, &selector).await?;
        let known_as = found.known_as;
        self.note(request, audit::Action::Subject, |entry| {
            if !known_as.is_empty() {
                entry.contact = known_as;
            }
        })
        .await?;
        json(StatusCode::OK, &found.index)
    }

    /// Whom or what is meant, where the caller may do this with all of it.
    async fn meant(
        &self,
        request: &Parts,
        caller: &Caller,
        action: Action,
        meant: &Erase,
    ) -> Result<Selector, Refusal> {
        let tenant = &meant.tenant;
        let refuse = |error: crate::privacy::SelectorError| Refusal::invalid(error.to_string());
        let selector = self.0.office.selector(meant).map_err(refuse)?;
        let row = match &selector {
            Selector::Media { media_id } => self.0.index.get(tenant, media_id).await?,
            _ => None,
        };
        let row = row.filter(|row| !matches!(row.state, MediaState::Erased | MediaState::Waiting));
        let decision = match &row {
            Some(row) => caller.may_with(action, row, None),
            // The index may not have it yet: it is for those whose role is for every media.
            None => caller.may_with_all(action, tenant, selector.known_as()),
        };
        if decision != Decision::NotTheirs {
            Trail::of(request).is_of(tenant);
            row.iter().for_each(|row| Trail::of(request).is_for(row));
        }
        expect(decision)?;
        Ok(selector)
    }

    /// Notes what an officer asks for before it is done.
    async fn note_officer(
        &self,
        request: &Parts,
        action: audit::Action,
        selector: &Selector,
        about: &str,
    ) -> Result<(), Refusal> {
        self.note(request, action, |entry| {
            if let Selector::Media { media_id } = selector {
                entry.media_id = Some(media_id.clone());
            } else {
                entry.contact = selector.known_as().to_vec();
            }
            entry.about = Some(about.to_owned());
        })
        .await
    }
}

fn begun(erasure: Erasure) -> ErasureState {
    ErasureState {
        id: erasure.number,
        tenant: erasure.tenant,
        state: if erasure.plan.is_some() { ErasureProgress::Erasing } else { ErasureProgress::Begun },
        selected_by: erasure.selector.as_str().to_owned(),
        requested_at: erasure.requested_at.to_string(),
        erased_at: erasure.erased_at.to_string(),
        certificate: None,
    }
}

fn state(progress: Progress) -> ErasureState {
    match progress {
        Progress::Begun(erasure) => begun(erasure),
        Progress::Done(certificate) => ErasureState {
            id: certificate.number.clone(),
            tenant: certificate.tenant.clone(),
            state: ErasureProgress::Done,
            selected_by: certificate.selected_by.clone(),
            requested_at: certificate.requested_at.to_string(),
            erased_at: certificate.erased_at.to_string(),
            certificate: Some(certificate),
        },
    }
}
