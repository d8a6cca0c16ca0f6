//! Logins with OpenID Connect, a provider for some tenants each (`[login.<name>]`).
//!
//! ```text
//! page without a session ──> GET /login/<name> ──> the provider ──> GET /login/<name>/callback ──> the page, with a session
//!                              sealed cookie:        code              state? code -> ID token:
//!                              state, nonce, PKCE                      signature, iss, aud, azp, exp, nonce
//! ```
//!
//! Nothing is stored here: what a login has to remember, and who has logged in, are sealed cookies of the browser.

mod claims;
mod cookie;
mod failure;
mod http;
mod provider;
mod seal;

pub(super) use cookie::Cookie;
pub(super) use failure::LoginFailure;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::config::{self, Config};
use crate::secrets::Secret;
use provider::{Asked, Provider};
use seal::{Purpose, Seal};

/// How long a login may take, from the redirect to the provider until the way back.
const LOGIN_S: u64 = 600;
/// How far the clocks of two replicas may differ.
const CLOCKS_S: i64 = 60;
/// Longest name and value of a cookie that browsers keep.
const MAX_COOKIE_BYTES: usize = 4096;
/// Longest subject that OpenID Connect permits.
const MAX_SUBJECT_BYTES: usize = 255;

/// All logins by name.
#[derive(Debug)]
pub(super) struct Logins {
    logins: BTreeMap<String, Login>,
    seal: Seal,
}

/// A login.
#[derive(Debug)]
struct Login {
    provider: Provider,
    config: config::Login,
}

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Who it is at the provider.
    pub(super) subject: String,
    /// At which login.
    pub(super) login: String,
    /// Names of tables below `access`.
    pub(super) roles: Vec<String>,
    /// The only tenants that it is for.
    pub(super) tenants: Vec<String>,
}

/// What a browser is sent to the provider with.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where it is sent.
    pub(super) url: String,
    /// What it has to bring back.
    pub(super) cookie: Cookie,
}

/// What a browser comes back with.
#[derive(Debug)]
pub(super) struct Returned<'a> {
    /// The cookie of [`Begun`].
    pub(super) cookie: Option<&'a str>,
    /// Parameters of the query.
    pub(super) state: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    pub(super) error: Option<&'a str>,
    pub(super) issuer: Option<&'a str>,
}

/// A login that has succeeded.
#[derive(Debug)]
pub(super) struct Ended {
    /// Who it is.
    pub(super) session: Session,
    /// What makes them known from now on.
    pub(super) cookie: Cookie,
    /// The path that they wanted to see.
    pub(super) to: Option<String>,
}

impl Logins {
    /// Those of the configuration.
    pub(super) fn new(config: &Config) -> Self {
        let login = |(name, login): (&String, &config::Login)| {
            let callback = format!("{}/login/{name}/callback", config.links.public_url);
            let provider = Provider::new(login, callback, config.catalog.jwks_refresh_s);
            (name.clone(), Login { provider, config: login.clone() })
        };
        let key: Secret = config.catalog.session_key.clone();
        Self { logins: config.login.iter().map(login).collect(), seal: Seal::new(key) }
    }

    /// The name of the login of a tenant, where it has one.
    pub(super) fn of_tenant(&self, tenant: &str) -> Option<&str> {
        let has = |login: &Login| login.config.tenants.iter().any(|known| known == tenant);
        self.logins.iter().find(|(_, login)| has(login)).map(|(name, _)| name.as_str())
    }

    /// Begins a login that leads to this path.
    ///
    /// # Errors
    /// [`LoginFailure`]; `None` where there is no such login.
    pub(super) async fn begin(&self, name: &str, to: Option<&str>) -> Option<Result<Begun, LoginFailure>> {
        let login = self.logins.get(name)?;
        let asked = match login.provider.ask().await {
            Ok(asked) => asked,
            Err(failure) => return Some(Err(failure)),
        };
        let Asked { url, state, nonce, verifier } = asked;
        let known = json!({ "login": name, "state": state, "nonce": nonce, "verifier": verifier, "to": to });
        let sealed = self.seal.close(Purpose::Login, known, LOGIN_S);
        let cookie = sealed.map(|sealed| Cookie::login(sealed, LOGIN_S)).ok_or(LoginFailure::Broken);
        Some(cookie.map(|cookie| Begun { url, cookie }))
    }

    /// Ends a login. `is_role` says which roles there are.
    ///
    /// # Errors
    /// [`LoginFailure`]; `None` where there is no such login.
    pub(super) async fn end(
        &self,
        name: &str,
        returned: &Returned<'_>,
        is_role: impl Fn(&str) -> bool + Send,
    ) -> Option<Result<Ended, LoginFailure>> {
        let login = self.logins.get(name)?;
        Some(self.end_at(name, login, returned, is_role).await)
    }

    async fn end_at(
        &self,
        name: &str,
        login: &Login,
        returned: &Returned<'_>,
        is_role: impl Fn(&str) -> bool + Send,
    ) -> Result<Ended, LoginFailure> {
        let known = returned.cookie.and_then(|cookie| self.seal.open(Purpose::Login, cookie));
        let known = known.ok_or(LoginFailure::NotBegun)?;
        let text = |key: &str| known.get(key).and_then(Value::as_str);
        let state = text("state").unwrap_or_default();
        let state_ok = returned.state.is_some_and(|said| said.as_bytes().ct_eq(state.as_bytes()).into());
        if text("login") != Some(name) || state.is_empty() || !state_ok {
            return Err(LoginFailure::NotBegun);
        }
        // RFC 9207: the answer of another provider.
        if returned.issuer.is_some_and(|issuer| issuer != login.config.issuer) {
            return Err(LoginFailure::NotGenuine("the answer is of another issuer"));
        }
        match returned.error {
            Some("access_denied") => return Err(LoginFailure::Denied),
            Some("temporarily_unavailable" | "server_error") => {
                return Err(LoginFailure::Unavailable("the provider says so itself".to_owned()));
            }
            Some(_) => return Err(LoginFailure::NotGenuine("the provider answers with an error")),
            None => {}
        }
        let code = returned.code.ok_or(LoginFailure::NotGenuine("the answer has no code"))?;
        let (nonce, verifier) = (text("nonce").unwrap_or_default(), text("verifier").unwrap_or_default());
        let person = login.provider.redeem(code, nonce, verifier).await?;
        if person.subject.is_empty() || person.subject.len() > MAX_SUBJECT_BYTES {
            return Err(LoginFailure::NotGenuine("the ID token has no subject, or one that is too long"));
        }
        let roles: Vec<String> = person.roles.into_iter().filter(|role| is_role(role)).collect();
        if roles.is_empty() {
            return Err(LoginFailure::NoRole);
        }
        let tenants = login.config.tenants.clone();
        let session = Session { subject: person.subject, login: name.to_owned(), roles, tenants };
        let cookie = self.cookie_of(&session, login)?;
        Ok(Ended { session, cookie, to: text("to").map(str::to_owned) })
    }

    fn cookie_of(&self, session: &Session, login: &Login) -> Result<Cookie, LoginFailure> {
        let Session { subject, login: name, roles, .. } = session;
        let now = Timestamp::now().as_second();
        let claims = json!({ "sub": subject, "login": name, "iss": login.config.issuer, "roles": roles, "iat": now });
        let sealed = self.seal.close(Purpose::Session, claims, login.config.session_s).ok_or(LoginFailure::Broken)?;
        let cookie = Cookie::session(sealed, login.config.session_s);
        if cookie.size() > MAX_COOKIE_BYTES { Err(LoginFailure::TooManyRoles) } else { Ok(cookie) }
    }

    /// Whoever a cookie makes known now: not after the time that their login gives, and not where the login is gone or has
    /// another provider.
    pub(super) fn session(&self, cookie: &str) -> Option<Session> {
        let claims = self.seal.open(Purpose::Session, cookie)?;
        let text = |key: &str| claims.get(key).and_then(Value::as_str);
        let name = text("login")?;
        let config = &self.logins.get(name)?.config;
        let since = Timestamp::now().as_second().saturating_sub(claims.get("iat").and_then(Value::as_i64)?);
        let is_young = since >= -CLOCKS_S && since < i64::try_from(config.session_s).unwrap_or(0);
        if !is_young || text("iss") != Some(&config.issuer) {
            return None;
        }
        let roles = claims.get("roles")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let (subject, tenants) = (text("sub")?.to_owned(), config.tenants.clone());
        Some(Session { subject, login: name.to_owned(), roles, tenants })
    }
}

#[cfg(test)]
mod tests;
