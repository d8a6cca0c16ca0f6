//! `GET /login/{name}`, `GET /login/{name}/callback` and `/logout`; and whoever a session makes known.

use axum::body::Body;
use axum::http::header::{ACCEPT, AUTHORIZATION, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use url::form_urlencoded;

use super::Api;
use super::body::says_own_page;
use super::problem::Refusal;
use super::record::Trail;
use super::route::{Door, Route};
use crate::error::Code;
use crate::privacy::audit;
use crate::roles::catalog::access::Caller;
use crate::roles::catalog::login::{Cookie, LoginFailure, Returned, Session};
use crate::roles::catalog::player::account_page;

/// Longest path that a login leads to.
const MAX_TO_BYTES: usize = 1024;
const UNAUTHORIZED: Refusal = Refusal::denied(Code::CatalogUnauthorized);

impl Api {
    /// Sends a browser to the provider.
    pub(super) async fn begin_login(&self, request: &Parts, name: &str) -> Result<Response<Body>, Refusal> {
        let query = Query::of(request);
        let to = query.get("to").filter(|to| may_lead_to(to));
        let begun = self.0.logins.begin(name, to).await.ok_or(Refusal::of(Code::CatalogNotFound))?;
        let begun = begun.map_err(|failure| refuse(name, failure))?;
        answer(StatusCode::FOUND, &begun.url, &[begun.cookie])
    }

    /// A browser comes back from the provider.
    pub(super) async fn end_login(&self, request: &Parts, name: &str) -> Result<Response<Body>, Refusal> {
        let query = Query::of(request);
        let returned = Returned {
            cookie: Cookie::login_of(cookies(&request.headers)),
            state: query.get("state"),
            code: query.get("code"),
            error: query.get("error"),
            issuer: query.get("iss"),
        };
        let is_role = |role: &str| self.0.access.contains_key(role);
        let ended = self.0.logins.end(name, &returned, is_role).await.ok_or(Refusal::of(Code::CatalogNotFound))?;
        let ended = ended.map_err(|failure| refuse(name, failure))?;
        Trail::of(request).is_by(actor(&ended.session.subject, name));
        for tenant in &ended.session.tenants {
            self.note(request, audit::Action::Login, |entry| {
                entry.tenant.clone_from(tenant);
                entry.about = Some(name.to_owned());
            })
            .await?;
        }
        tracing::info!(login = name, "somebody has logged in");
        let to = format!("{}{}", self.0.public_url, ended.to.as_deref().unwrap_or("/logout"));
        answer(StatusCode::SEE_OTHER, &to, &[ended.cookie, Cookie::no_login()])
    }

    /// The page that says whether somebody is logged in, with a button that ends it.
    pub(super) fn logout(&self, request: &Parts) -> Result<Response<Body>, Refusal> {
        let is_ended = request.method == Method::POST;
        let is_known = !is_ended && self.session_of(&request.headers).is_some();
        let mut response = self.html_in(account_page(is_known), &[])?;
        // Without it browsers would not say that the button is on a page of this server.
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if is_ended {
            set_cookies(&mut response, &[Cookie::no_session(), Cookie::no_login()])?;
        }
        Ok(response)
    }

    /// Whoever has logged in, where a request may be made in their name: not in a frame, and not by a page of another site.
    pub(super) fn session(&self, request: &Parts) -> Result<Caller, Refusal> {
        let session = self.session_of(&request.headers).filter(|_| may_have_session(&request.headers));
        let session = session.ok_or(UNAUTHORIZED)?;
        Trail::of(request).is_by(actor(&session.subject, &session.login));
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        if !is_read && !says_own_page(request, &self.0.public_url) {
            return Err(Refusal::unknown_page());
        }
        let roles = session.roles.iter().map(String::as_str);
        Ok(Caller::with_roles(session.subject, roles, Some(session.tenants), None, &self.0.access))
    }

    /// The answer to somebody unknown who opens a page: to the login of the tenant, where it has one. Whether the page is there is
    /// not looked at.
    pub(super) fn led_to_login(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        refusal: Refusal,
    ) -> Result<Response<Body>, Refusal> {
        // A token or a proxy's header that is wrong would be as wrong after a login.
        let has_other = request.headers.contains_key(AUTHORIZATION) || self.is_by_proxy(request);
        let is_unknown = refusal == UNAUTHORIZED && !has_other;
        if !is_unknown || *door != Door::Identity || request.method != Method::GET || !opens_page(&request.headers) {
            return Err(refusal);
        }
        let name = self.0.logins.of_tenant(tenant).ok_or(refusal)?;
        let mut to = form_urlencoded::Serializer::new(String::new());
        to.append_pair("to", request.uri.path());
        answer(StatusCode::FOUND, &format!("{}/login/{name}?{}", self.0.public_url, to.finish()), &[])
    }

    fn session_of(&self, headers: &HeaderMap) -> Option<Session> {
        self.0.logins.session(Cookie::session_of(cookies(headers))?)
    }
}

/// Parameters of a query; one that is there twice is none.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Parts) -> Self {
        let query = request.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        if values.next().is_some() { None } else { Some(first) }
    }
}

/// As the audit log has it: the same subject may be somebody else at another provider.
fn actor(subject: &str, login: &str) -> String {
    format!("user {subject} of {login}")
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok())
}

/// Whether a path is one of this server that people open, in characters that no browser reads in two ways.
fn may_lead_to(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/".contains(&byte);
    let route = Route::parse(path).filter(|_| path.len() <= MAX_TO_BYTES && path.bytes().all(is_plain));
    matches!(
        route,
        Some(
            Route::Player { door: Door::Identity, .. }
                | Route::Timeline { door: Door::Identity, .. }
                | Route::Object { door: Door::Identity, .. }
                | Route::Archive { door: Door::Identity, .. }
        )
    )
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether a session counts, by what a browser says of the request. In frames capability links count and nothing else, whatever
/// cookies a browser sends there; a page of another site may lead here, and may fetch nothing.
fn may_have_session(headers: &HeaderMap) -> bool {
    let is_framed =
        matches!(text(headers, "sec-fetch-dest"), Some("iframe" | "frame" | "embed" | "object" | "fencedframe"));
    let is_foreign = matches!(text(headers, "sec-fetch-site"), Some(site) if !matches!(site, "same-origin" | "none"));
    let is_opened = text(headers, "sec-fetch-mode") == Some("navigate");
    !is_framed && (!is_foreign || is_opened)
}

/// Whether a browser opens a page for a person to see, in a window of its own.
fn opens_page(headers: &HeaderMap) -> bool {
    let accept = text(headers, ACCEPT.as_str()).unwrap_or_default();
    let is_html = accept.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "text/html");
    let dest_ok = text(headers, "sec-fetch-dest").is_none_or(|dest| dest == "document");
    is_html && dest_ok && text(headers, "sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

fn refuse(login: &str, failure: LoginFailure) -> Refusal {
    let detail = failure.to_string();
    match &failure {
        LoginFailure::Unavailable(reason) => {
            tracing::warn!(login, reason, "nobody can log in: the provider cannot be asked");
            Refusal::login(Code::CatalogLoginUnavailable, detail)
        }
        LoginFailure::Broken => Refusal::of(Code::CatalogBroken),
        // Anybody can ask for it.
        LoginFailure::NotBegun => Refusal::login(Code::CatalogLoginFailed, detail),
        failure => {
            tracing::warn!(login, reason = %failure, "a login is refused");
            Refusal::login(Code::CatalogLoginFailed, detail)
        }
    }
}

/// A redirect that nobody keeps.
fn answer(status: StatusCode, to: &str, cookies: &[Cookie]) -> Result<Response<Body>, Refusal> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let location = HeaderValue::from_str(to).map_err(|_| Refusal::of(Code::CatalogBroken))?;
    response.headers_mut().insert(LOCATION, location);
    set_cookies(&mut response, cookies)?;
    Ok(response)
}

fn set_cookies(response: &mut Response<Body>, cookies: &[Cookie]) -> Result<(), Refusal> {
    for cookie in cookies {
        let value = HeaderValue::from_str(&cookie.header()).map_err(|_| Refusal::of(Code::CatalogBroken))?;
        response.headers_mut().append(SET_COOKIE, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_this_server_and_nowhere_else() {
        for path in ["/m/acme/m/", "/m/acme/a~2Fb/playback.mp3", "/k/acme/c0ffee/", "/k/acme/c0ffee/all.zip"] {
            assert!(may_lead_to(path), "{path}");
        }
        let long = format!("/m/acme/{}/", "a".repeat(MAX_TO_BYTES));
        for path in [
            "",
            "/",
            "//evil.example",
            "//evil.example/m/acme/m/",
            "///m/acme/m/",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "https:/m/acme/m/",
            "javascript:alert(1)",
            "/m/acme/m/?x=1",
            "/m/acme/m/#x",
            "/m/acme/m/x\r\nset-cookie: a=b",
            "/m/acme/m/x y",
            "/.evil.example",
            "/@evil.example",
            "/unknown",
            "/login/staff",
            "/login/staff/callback",
            "/logout",
            "/v1/erasures",
            "/openapi.json",
            "/c/crm.0.x/m/acme/m/",
            &long,
        ] {
            assert!(!may_lead_to(path), "{path}");
        }
    }

    #[test]
    fn a_session_counts_in_a_window_of_its_own() {
        let may = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            may_have_session(&HeaderMap::from_iter(pairs))
        };
        let (dest, site, mode) = ("sec-fetch-dest", "sec-fetch-site", "sec-fetch-mode");
        assert!(may(&[]), "programs and old browsers");
        assert!(may(&[(dest, "document"), (site, "cross-site"), (mode, "navigate")]), "a link in a mail");
        assert!(may(&[(dest, "audio"), (site, "same-origin"), (mode, "no-cors")]));
        for framed in ["iframe", "frame", "embed", "object", "fencedframe"] {
            assert!(!may(&[(dest, framed), (site, "same-origin"), (mode, "navigate")]), "{framed}");
        }
        for foreign in ["cross-site", "same-site", "else"] {
            assert!(!may(&[(dest, "image"), (site, foreign), (mode, "no-cors")]), "{foreign}");
            assert!(!may(&[(dest, "empty"), (site, foreign), (mode, "cors")]), "{foreign}");
        }
    }
}
