//! Refusals, and their answers.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};

use super::model::Problem;
use crate::broker::BrokerError;
use crate::database::DatabaseError;
use crate::error::Code;
use crate::roles::catalog::access::Decision;
use crate::roles::catalog::office::OfficeError;
use crate::store::StoreError;

/// When who asks should come again after trouble that passes, in seconds.
const COME_AGAIN_S: u64 = 5;

/// Why a request is not answered with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// Beyond what the code says.
    detail: Option<String>,
    certificate: Option<String>,
    /// Whether who asks may not have it, although it may be there.
    is_denial: bool,
}

impl Refusal {
    pub(super) const fn of(code: Code) -> Self {
        Self { code, detail: None, certificate: None, is_denial: false }
    }

    /// To whoever may not have it.
    pub(super) const fn denied(code: Code) -> Self {
        Self { code, detail: None, certificate: None, is_denial: true }
    }

    pub(super) const fn is_denial(&self) -> bool {
        self.is_denial
    }

    /// What is wrong with a request. The text repeats nothing of its values.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self { code: Code::CatalogInvalid, detail: Some(detail.into()), certificate: None, is_denial: false }
    }

    pub(super) const fn erased(certificate: Option<String>) -> Self {
        Self { code: Code::CatalogErased, detail: None, certificate, is_denial: false }
    }

    /// A browser says that a page of another site asks.
    pub(super) fn foreign_page() -> Self {
        let detail = "a page of another site asks: Sec-Fetch-Site or Origin says so".to_owned();
        Self { detail: Some(detail), ..Self::denied(Code::CatalogForbidden) }
    }

    /// A browser does not say that a page of this server asks.
    pub(super) fn unknown_page() -> Self {
        let detail = "a session counts for pages of this server: neither Sec-Fetch-Site nor Origin says so".to_owned();
        Self { detail: Some(detail), ..Self::denied(Code::CatalogForbidden) }
    }

    /// A login that comes to nothing. The text names nobody.
    pub(super) const fn login(code: Code, detail: String) -> Self {
        Self { code, detail: Some(detail), certificate: None, is_denial: false }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            Code::CatalogUnauthorized => StatusCode::UNAUTHORIZED,
            Code::CatalogForbidden | Code::CatalogLoginFailed => StatusCode::FORBIDDEN,
            Code::CatalogNotFound => StatusCode::NOT_FOUND,
            Code::CatalogErased | Code::CatalogExpired => StatusCode::GONE,
            Code::StoreArchived => StatusCode::CONFLICT,
            Code::CatalogRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Code::CatalogInvalid | Code::CatalogLimitRows => StatusCode::BAD_REQUEST,
            // What is left is the catalogue's own trouble, or its store's or database's.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn text(&self) -> String {
        self.detail.clone().unwrap_or_else(|| self.code.meaning().to_owned())
    }

    pub(super) fn answer(&self) -> Response<Body> {
        let problem = Problem {
            code: self.code.as_str().to_owned(),
            message: self.text(),
            certificate: self.certificate.clone(),
        };
        let json = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(COME_AGAIN_S));
        }
        response
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        tracing::error!(%error, "a request is not answered");
        Self::of(match error {
            DatabaseError::Unavailable { .. } => Code::DatabaseUnavailable,
            _ => Code::DatabaseRefused,
        })
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::NotFound { .. }) {
            return Self::of(Code::CatalogNotFound);
        }
        if matches!(error, StoreError::Archived { .. }) {
            return Self::of(Code::StoreArchived);
        }
        tracing::error!(%error, "a request is not answered");
        Self::of(Code::StoreUnavailable)
    }
}

impl From<OfficeError> for Refusal {
    fn from(error: OfficeError) -> Self {
        let error = match error {
            OfficeError::Store(error) => return error.into(),
            error => error,
        };
        tracing::error!(%error, "the privacy role is not told: what was asked for is in the store, and not carried out yet");
        let (code, detail) = match error {
            OfficeError::Broker(BrokerError::Unroutable { .. }) => {
                (Code::BrokerUnroutable, "the queue of the privacy role is not declared: start mediamill privacy")
            }
            _ => (Code::BrokerUnavailable, "the privacy role could not be told: ask again"),
        };
        Self { detail: Some(detail.to_owned()), ..Self::of(code) }
    }
}

/// Goes on where somebody may.
pub(super) fn expect(decision: Decision) -> Result<(), Refusal> {
    match decision {
        Decision::Yes => Ok(()),
        Decision::NotTheirs => Err(Refusal::denied(Code::CatalogNotFound)),
        Decision::Forbidden => Err(Refusal::denied(Code::CatalogForbidden)),
    }
}
