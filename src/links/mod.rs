//! Links that people and CRMs keep: how they are written, and whether one is genuine.
//!
//! A *capability* link lets whoever has it see one media, or the media of one contact, without a login. It is derived from what it
//! is for by an HMAC with a key that `deliver` and `catalog` share: the same link is written however often a delivery is
//! repeated, and nothing has to be stored but what was revoked. Whether the media still exists, or the link was revoked, is for
//! the catalogue to say at each use.
//!
//! ```text
//! <public_url>/c/<capability>/m/<tenant>/<media_id>/                 the player
//! <public_url>/c/<capability>/m/<tenant>/<media_id>/playback.mp3     one file of it
//! <public_url>/c/<capability>/k/<tenant>/<contact>/                  the timeline of a contact (its keyed HMAC)
//! ```

mod capability;
mod segment;

pub use capability::{Capability, LinkDenied, Subject};
pub use segment::{from_segment, segment};

use jiff::{SignedDuration, Timestamp};

use crate::config;
use crate::secrets::Secret;
use crate::vocabulary::Role;

/// Writes links and knows its own.
#[derive(Debug, Clone)]
pub struct Links {
    public_url: String,
    key: Secret,
    previous_key: Secret,
    capability_days: u32,
}

impl Links {
    /// Nothing where no public URL or no key is configured: then no links can be written.
    #[must_use]
    pub fn new(config: &config::Links) -> Option<Self> {
        let is_there = !config.public_url.is_empty() && !config.key.is_empty();
        is_there.then(|| Self {
            public_url: config.public_url.clone(),
            key: config.key.clone(),
            previous_key: config.previous_key.clone(),
            capability_days: config.capability_days,
        })
    }

    /// Links to one media for one destination, such as the name of a CRM's table in the configuration. `issued_at` is a time that
    /// a repetition has as well, such as that of the outcome: where links expire, it counts from then.
    #[must_use]
    pub fn media(&self, tenant: &str, media_id: &str, destination: &str, issued_at: Timestamp) -> MediaLinks {
        let subject = Subject::Media { tenant, media_id };
        let capability = self.capability(&subject, destination, issued_at);
        MediaLinks { base: format!("{}/c/{capability}/m/{}/{}/", self.public_url, segment(tenant), segment(media_id)) }
    }

    /// The link to the timeline of a contact, which is given as its keyed HMAC.
    #[must_use]
    pub fn contact(&self, tenant: &str, contact: &str, destination: &str, issued_at: Timestamp) -> String {
        let subject = Subject::Contact { tenant, contact };
        let capability = self.capability(&subject, destination, issued_at);
        format!("{}/c/{capability}/k/{}/{}/", self.public_url, segment(tenant), segment(contact))
    }

    /// Where everybody else reaches the catalogue.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Whether a capability is one that was written for this subject, and has not expired.
    ///
    /// # Errors
    /// [`LinkDenied`]
    pub fn verify(&self, text: &str, subject: &Subject<'_>, now: Timestamp) -> Result<Capability, LinkDenied> {
        let keys = [self.key.expose(), self.previous_key.expose()];
        let keys: Vec<&[u8]> = keys.iter().filter(|key| !key.is_empty()).map(|key| key.as_bytes()).collect();
        capability::verify(text, subject, &keys, now)
    }

    fn capability(&self, subject: &Subject<'_>, destination: &str, issued_at: Timestamp) -> String {
        let life = SignedDuration::from_hours(i64::from(self.capability_days) * 24);
        let expires = (self.capability_days > 0).then(|| issued_at.saturating_add(life).ok()).flatten();
        capability::write(subject, destination, expires, self.key.expose().as_bytes())
    }
}

/// Links to one media.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaLinks {
    base: String,
}

impl MediaLinks {
    /// The page that plays it.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.base
    }

    /// One file of it. `key` is the file's key in the store, whose extension the link has too: players and CRMs look at it.
    #[must_use]
    pub fn object(&self, role: Role, key: &str) -> String {
        format!("{}{}", self.base, object_name(role, key))
    }
}

/// The link is a secret.
impl std::fmt::Debug for MediaLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaLinks").finish_non_exhaustive()
    }
}

/// The name of a file in links: `playback.mp3`. Where the key has no extension of letters and digits, `.bin`.
#[must_use]
pub fn object_name(role: Role, key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_plain = |text: &&str| (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    format!("{}.{}", role_name(role), extension.filter(is_plain).unwrap_or("bin").to_ascii_lowercase())
}

/// The role whose file a name in a link stands for. Any extension will do: a link that was written when the file was an MP3 goes
/// on when the media is normalized again to something else.
#[must_use]
pub fn role_of_object(name: &str) -> Option<Role> {
    let (role, extension) = name.split_once('.')?;
    let is_plain = (1..=8).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    ROLES.into_iter().find(|known| is_plain && role_name(*known) == role)
}

const ROLES: [Role; 6] =
    [Role::Playback, Role::Thumbnail, Role::Rendition, Role::Waveform, Role::Peaks, Role::Original];

/// The word for a role in links, in rows and in the configuration.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Playback => "playback",
        Role::Thumbnail => "thumbnail",
        Role::Rendition => "rendition",
        Role::Waveform => "waveform",
        Role::Peaks => "peaks",
        Role::Original => "original",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(key: &str, previous_key: &str, capability_days: u32) -> Links {
        let public_url = "https://media.example".to_owned();
        let config = config::Links {
            public_url,
            key: Secret::parse(key),
            previous_key: Secret::parse(previous_key),
            capability_days,
            signer: String::new(),
            signer_url: String::new(),
            signer_key_id: String::new(),
            signer_key: Secret::parse(""),
        };
        Links::new(&config).expect("configured")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// The capability and the rest of a link.
    fn parts(link: &str) -> (&str, &str) {
        link.strip_prefix("https://media.example/c/").and_then(|rest| rest.split_once('/')).expect("a link")
    }

    const SUBJECT: Subject<'_> = Subject::Media { tenant: "acme", media_id: "a/../b ü" };

    #[test]
    fn a_repetition_writes_the_same_link_and_it_is_genuine() {
        let links = links("0123456789abcdef0123456789abcdef", "", 0);
        let one = links.media("acme", "a/../b ü", "salesforce", at("2026-11-22T10:00:00Z"));
        let two = links.media("acme", "a/../b ü", "salesforce", at("2027-01-01T00:00:00Z"));
        assert_eq!(one, two, "without an expiry the time does not matter");
        let (capability, rest) = parts(one.page());
        assert_eq!(rest, "m/acme/a~2F..~2Fb~20~C3~BC/");
        let known = links.verify(capability, &SUBJECT, at("2036-01-01T00:00:00Z")).expect("genuine");
        assert_eq!((known.destination.as_str(), known.expires), ("salesforce", None));
        assert!(!format!("{one:?}").contains(capability));
        assert!(one.object(Role::Playback, "acme/x/y/audio.MP3").ends_with("/playback.mp3"));
    }

    #[test]
    fn a_link_is_for_one_subject_and_one_destination() {
        let links = links("0123456789abcdef0123456789abcdef", "", 0);
        let now = at("2026-11-22T10:00:00Z");
        let link = links.media("acme", "a/../b ü", "salesforce", now);
        let (capability, _) = parts(link.page());
        for other in [
            Subject::Media { tenant: "acme", media_id: "b" },
            Subject::Media { tenant: "acm", media_id: "ea/../b ü" },
            Subject::Contact { tenant: "acme", contact: "a/../b ü" },
        ] {
            assert_eq!(links.verify(capability, &other, now), Err(LinkDenied::Wrong), "{other:?}");
        }
        let forged = capability.replace("salesforce", "zendesk");
        for text in [&forged, "", ".", "..", "a.b.c", &capability[1..], &capability[..capability.len() - 1]] {
            assert!(links.verify(text, &SUBJECT, now).is_err(), "{text}");
        }
        let later = capability.replacen(".0.", ".99999999999.", 1);
        assert_eq!(links.verify(&later, &SUBJECT, now), Err(LinkDenied::Wrong));
        let contact = links.contact("acme", "6b1f", "salesforce", now);
        let (capability, rest) = parts(&contact);
        assert_eq!(rest, "k/acme/6b1f/");
        assert!(links.verify(capability, &Subject::Contact { tenant: "acme", contact: "6b1f" }, now).is_ok());
    }

    #[test]
    fn links_expire_where_that_is_configured() {
        let links = links("0123456789abcdef0123456789abcdef", "", 30);
        let link = links.media("acme", "a/../b ü", "hubspot", at("2026-11-01T00:00:00Z"));
        let (capability, _) = parts(link.page());
        assert!(links.verify(capability, &SUBJECT, at("2026-11-30T23:59:59Z")).is_ok());
        assert_eq!(links.verify(capability, &SUBJECT, at("2026-12-01T00:00:00Z")), Err(LinkDenied::Expired));
    }

    #[test]
    fn a_key_is_replaced_without_killing_links() {
        let (old, new) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        let now = at("2026-11-22T10:00:00Z");
        let link = links(old, "", 0).media("acme", "a/../b ü", "hubspot", now);
        let (capability, _) = parts(link.page());
        assert!(links(new, old, 0).verify(capability, &SUBJECT, now).is_ok());
        assert_eq!(links(new, "", 0).verify(capability, &SUBJECT, now), Err(LinkDenied::Wrong));
        let one = links(new, old, 0).media("acme", "a/../b ü", "hubspot", now);
        assert_ne!(one, link, "new links have the new key");
    }

    #[test]
    fn names_of_files_keep_their_role_whatever_their_extension() {
        assert_eq!(object_name(Role::Original, "acme/m/x/original"), "original.bin");
        assert_eq!(object_name(Role::Original, "acme/m/x/original.p%2Ff"), "original.bin");
        assert_eq!(role_of_object("playback.m4a"), Some(Role::Playback));
        for role in ROLES {
            assert_eq!(role_of_object(&object_name(role, "k/a.bin")), Some(role));
        }
        for name in ["playback", "playback.", "playback.a/b", "manifest.json", ".mp3", "playback.mp3.exe", ""] {
            assert_eq!(role_of_object(name), None, "{name}");
        }
    }
}
