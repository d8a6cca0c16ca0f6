//! Paths. Ids stand in them as [`links::segment`](crate::links::segment) writes them: unreserved characters only.

use percent_encoding::percent_decode_str;

use crate::links::from_segment;

/// By which door somebody comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Door {
    /// With a token, or through a trusted proxy.
    Identity,
    /// With a capability for one media.
    MediaLink(String),
    /// With a capability for the media of one contact.
    ContactLink { capability: String, contact: String },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Openapi,
    /// Browsers ask for it below every page.
    Favicon,
    Search,
    Revocations,
    Erasures,
    Erasure {
        tenant: String,
        number: String,
    },
    Holds,
    Subjects,
    Operations,
    Replays,
    Login {
        name: String,
    },
    LoginCallback {
        name: String,
    },
    Logout,
    Media {
        tenant: String,
        media_id: String,
    },
    Object {
        door: Door,
        tenant: String,
        media_id: String,
        name: String,
    },
    Player {
        door: Door,
        tenant: String,
        media_id: String,
    },
    Timeline {
        door: Door,
        tenant: String,
        contact: String,
    },
    Archive {
        door: Door,
        tenant: String,
        contact: String,
    },
}

impl Route {
    /// Nothing where there is no such path. Each path is written in one way.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match parts[..] {
            ["favicon.ico"] => Some(Self::Favicon),
            ["openapi.json"] => Some(Self::Openapi),
            ["login", name] => Some(Self::Login { name: name.to_owned() }),
            ["login", name, "callback"] => Some(Self::LoginCallback { name: name.to_owned() }),
            ["logout"] => Some(Self::Logout),
            ["v1", "media"] => Some(Self::Search),
            ["v1", "revocations"] => Some(Self::Revocations),
            ["v1", "erasures"] => Some(Self::Erasures),
            ["v1", "erasures", tenant, number] => Some(Self::Erasure { tenant: id(tenant)?, number: id(number)? }),
            ["v1", "holds"] => Some(Self::Holds),
            ["v1", "subjects"] => Some(Self::Subjects),
            ["operations"] => Some(Self::Operations),
            ["operations", "replays"] => Some(Self::Replays),
            ["v1", "media", tenant, media] => Some(Self::Media { tenant: id(tenant)?, media_id: id(media)? }),
            ["v1", "media", tenant, media, name] => Self::below(Door::Identity, tenant, media, name),
            ["m", tenant, media, name] => Self::below(Door::Identity, tenant, media, name),
            ["c", capability, "m", tenant, media, name] => {
                Self::below(Door::MediaLink(capability.to_owned()), tenant, media, name)
            }
            ["k", tenant, contact, ""] => {
                Some(Self::Timeline { door: Door::Identity, tenant: id(tenant)?, contact: id(contact)? })
            }
            ["k", tenant, contact, "all.zip"] => {
                Some(Self::Archive { door: Door::Identity, tenant: id(tenant)?, contact: id(contact)? })
            }
            ["k", tenant, _contact, media, name] => Self::below(Door::Identity, tenant, media, name),
            ["c", capability, "k", tenant, contact, ""] => {
                let contact = id(contact)?;
                let door = Door::ContactLink { capability: capability.to_owned(), contact: contact.clone() };
                Some(Self::Timeline { door, tenant: id(tenant)?, contact })
            }
            ["c", capability, "k", tenant, contact, "all.zip"] => {
                let contact = id(contact)?;
                let door = Door::ContactLink { capability: capability.to_owned(), contact: contact.clone() };
                Some(Self::Archive { door, tenant: id(tenant)?, contact })
            }
            ["c", capability, "k", tenant, contact, media, name] => {
                let door = Door::ContactLink { capability: capability.to_owned(), contact: id(contact)? };
                Self::below(door, tenant, media, name)
            }
            _ => None,
        }
    }

    /// The methods that it takes, as `Allow` has them.
    pub(super) const fn methods(&self) -> &'static str {
        match self {
            Self::Revocations | Self::Erasures | Self::Holds | Self::Subjects | Self::Replays => "POST",
            Self::Logout => "GET, HEAD, POST",
            _ => "GET, HEAD",
        }
    }

    /// A file of a media, or its page where no file is named.
    fn below(door: Door, tenant: &str, media: &str, name: &str) -> Option<Self> {
        let (tenant, media_id) = (id(tenant)?, id(media)?);
        Some(match name {
            "" => Self::Player { door, tenant, media_id },
            name => Self::Object { door, tenant, media_id, name: name.to_owned() },
        })
    }
}

/// Some clients percent-encode what needs no encoding.
fn id(part: &str) -> Option<String> {
    let part = percent_decode_str(part).decode_utf8().ok()?;
    from_segment(&part).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_what_it_names() {
        let object = |door| Route::Object {
            door,
            tenant: "acme".to_owned(),
            media_id: "a/b".to_owned(),
            name: "playback.mp3".to_owned(),
        };
        assert_eq!(Route::parse("/v1/media/acme/a~2Fb/playback.mp3"), Some(object(Door::Identity)));
        assert_eq!(Route::parse("/v1/media/acme/a%7E2Fb/playback.mp3"), Some(object(Door::Identity)));
        let link = Door::MediaLink("crm.0.x".to_owned());
        assert_eq!(Route::parse("/c/crm.0.x/m/acme/a~2Fb/playback.mp3"), Some(object(link)));
        let link = Door::ContactLink { capability: "crm.0.x".to_owned(), contact: "c0ffee".to_owned() };
        assert_eq!(Route::parse("/c/crm.0.x/k/acme/c0ffee/a~2Fb/playback.mp3"), Some(object(link)));
        assert!(matches!(Route::parse("/c/crm.0.x/k/acme/c0ffee/"), Some(Route::Timeline { .. })));
        assert!(matches!(Route::parse("/m/acme/m/"), Some(Route::Player { .. })));
    }

    #[test]
    fn tricks_with_paths_lead_nowhere() {
        for path in [
            "",
            "/",
            "//",
            "/v1/media/acme",
            "/v1/media/acme/../globex/m",
            "/v1/media/acme/%2e%2e/m",
            "/v1/media/acme/a%2Fb",
            "/v1/media/acme/a/b/c",
            "/v1/media//m",
            "/v1/media/acme/~2f",
            "/v1/media/acme/%00",
            "/v1/media/acme/%FF",
            "/v1/media/acme/m\\..",
            "/v1/erasures/acme",
            "/v1/erasures/acme/1/2",
            "/v1/subjects/acme",
            "/.catalog/audit/checkpoint",
            "/c/x/m/acme/m",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
