//! The cookies. By the prefix `__Host-` browsers take them from this very host only, and over TLS only.

/// The name of the cookie that a login is begun with.
const LOGIN: &str = "__Host-mediamill-login";
/// The name of the cookie of somebody who has logged in.
const SESSION: &str = "__Host-mediamill-session";

/// A cookie to be set. `Debug` does not show its value.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::roles::catalog) struct Cookie {
    name: &'static str,
    value: String,
    life_s: u64,
}

impl Cookie {
    pub(super) const fn login(value: String, life_s: u64) -> Self {
        Self { name: LOGIN, value, life_s }
    }

    pub(super) const fn session(value: String, life_s: u64) -> Self {
        Self { name: SESSION, value, life_s }
    }

    /// Takes the cookie of a begun login away.
    pub(in crate::roles::catalog) const fn no_login() -> Self {
        Self::login(String::new(), 0)
    }

    /// Takes the session away.
    pub(in crate::roles::catalog) const fn no_session() -> Self {
        Self::session(String::new(), 0)
    }

    /// The value of the login's cookie in the values of `Cookie` headers.
    pub(in crate::roles::catalog) fn login_of<'h>(headers: impl Iterator<Item = &'h str>) -> Option<&'h str> {
        find(LOGIN, headers)
    }

    /// The value of the session's cookie in the values of `Cookie` headers.
    pub(in crate::roles::catalog) fn session_of<'h>(headers: impl Iterator<Item = &'h str>) -> Option<&'h str> {
        find(SESSION, headers)
    }

    /// What browsers count.
    pub(super) const fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }

    /// The value of `Set-Cookie`.
    pub(in crate::roles::catalog) fn header(&self) -> String {
        let Self { name, value, life_s } = self;
        format!("{name}={value}; Path=/; Max-Age={life_s}; Secure; HttpOnly; SameSite=Lax")
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The value of a cookie that is there once: of two, one would be somebody else's.
fn find<'h>(name: &str, headers: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    let pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let first = values.next()?;
    if values.next().is_some() { None } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_where_it_is_there_once() {
        let session = |headers: &[&'static str]| Cookie::session_of(headers.iter().copied());
        assert_eq!(session(&["a=b; __Host-mediamill-session=x.y.z; c=d"]), Some("x.y.z"));
        assert_eq!(session(&["a=b", "__Host-mediamill-session=x"]), Some("x"));
        for none in [
            &[][..],
            &["__Host-mediamill-session"],
            &["__Host-mediamill-session=x; __Host-mediamill-session=y"],
            &["__Host-mediamill-session=x", "__Host-mediamill-session=x"],
            &["__host-mediamill-session=x"],
            &["x__Host-mediamill-session=x"],
            &["a=__Host-mediamill-session=x"],
        ] {
            assert_eq!(session(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let header = Cookie::session("x.y.z".to_owned(), 300).header();
        let expected = "__Host-mediamill-session=x.y.z; Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(header, expected);
        assert!(!format!("{:?}", Cookie::session("x.y.z".to_owned(), 300)).contains("x.y.z"));
    }
}
