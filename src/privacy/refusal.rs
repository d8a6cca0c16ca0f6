//! Why a media is not stored.

use crate::error::{Code, Fault};

/// Why a media is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was erased, or an erasure of its contact or conversation covers it.
    Erased,
    /// The person, or the request itself, denies or has withdrawn consent.
    Denied,
    /// The tenant requires consent, and none is known.
    NoConsent,
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Erased => Code::PrivacyErased,
            Self::Denied => Code::PrivacyDenied,
            Self::NoConsent => Code::PrivacyNoConsent,
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let message = match refusal {
            Refusal::Erased => {
                "the media was erased, or an erasure covers its contact or conversation: nothing is stored"
            }
            Refusal::Denied => "consent to storing media is denied or withdrawn: nothing is fetched or stored",
            Refusal::NoConsent => "the tenant requires consent to storing media, and none is known: nothing is fetched",
        };
        Self::rejected(refusal.code(), message)
    }
}
