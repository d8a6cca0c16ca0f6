//! What a tenant's policy makes of what is known. Pure: no store and no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Record, Refusal};
use crate::config::{self, Config, ConsentMode};
use crate::events::{ConsentStatus, Privacy};

/// The purpose without which nothing is fetched.
const STORE: &str = "store";
/// The purpose without which the file as it came is not kept beside what is made of it.
const KEEP_ORIGINAL: &str = "keep-original";
const SECONDS_OF_A_DAY: i64 = 86_400;

/// The policies of all tenants.
#[derive(Debug, Clone)]
pub struct Policy {
    default: TenantPolicy,
    tenants: BTreeMap<String, TenantPolicy>,
}

/// The policy of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPolicy {
    /// Whether consent has to be known.
    pub is_required: bool,
    /// For which purposes, where it has.
    pub purposes: Vec<String>,
    /// After how many days media are deleted; 0 is never.
    pub retention_days: u32,
    /// The same for the tenant alone; 0 where it has no period of its own.
    own_retention_days: u32,
    /// Whether a media is erased when its sender takes the message back.
    pub revoke_erases: bool,
}

/// What is known of one request.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What the request says.
    pub stated: Option<&'a Privacy>,
    /// What is known of its sender, joined.
    pub known: &'a Record,
    /// When the message was sent; as early as can be where nobody says. What a request states is as old as that.
    pub sent_at: Timestamp,
    /// From when on it is kept: when the message was sent, and now where nobody says.
    pub kept_from: Timestamp,
    /// After how many days the profile has media deleted; 0 where it does not say.
    pub profile_days: u32,
}

/// What may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Whether the file as it came may be kept beside what is made of it.
    pub keep_original: bool,
    /// When it is all to be deleted.
    pub expires_at: Option<Timestamp>,
}

impl Permit {
    /// Everything, for good.
    pub const UNLIMITED: Self = Self { keep_original: true, expires_at: None };
}

impl Policy {
    /// As configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let default = TenantPolicy {
            is_required: config.privacy.consent == ConsentMode::Required,
            purposes: config.privacy.consent_purposes.clone(),
            retention_days: config.privacy.retention_days,
            own_retention_days: 0,
            revoke_erases: false,
        };
        let tenants = config.tenants.iter().map(|(name, tenant)| {
            let id = if tenant.tenant.is_empty() { name } else { &tenant.tenant };
            (id.clone(), TenantPolicy::new(&default, tenant))
        });
        Self { tenants: tenants.collect(), default }
    }

    /// Of a tenant as events name it.
    #[must_use]
    pub fn of(&self, tenant: &str) -> &TenantPolicy {
        self.tenants.get(tenant).unwrap_or(&self.default)
    }
}

impl TenantPolicy {
    fn new(default: &Self, tenant: &config::Tenant) -> Self {
        Self {
            is_required: match tenant.consent {
                ConsentMode::Unset => default.is_required,
                ConsentMode::OptOut => false,
                ConsentMode::Required => true,
            },
            purposes: if tenant.consent_purposes.is_empty() {
                default.purposes.clone()
            } else {
                tenant.consent_purposes.clone()
            },
            retention_days: if tenant.retention_days == 0 { default.retention_days } else { tenant.retention_days },
            own_retention_days: tenant.retention_days,
            revoke_erases: tenant.revoke_erases,
        }
    }

    /// What may be stored of a media.
    ///
    /// # Errors
    /// [`Refusal`]: nothing.
    pub fn permit(&self, terms: &Terms<'_>) -> Result<Permit, Refusal> {
        self.allows(STORE, terms)?;
        Ok(Permit { keep_original: self.allows(KEEP_ORIGINAL, terms).is_ok(), expires_at: self.expires_at(terms) })
    }

    fn allows(&self, purpose: &str, terms: &Terms<'_>) -> Result<(), Refusal> {
        match status(purpose, terms) {
            Some(ConsentStatus::Granted) => Ok(()),
            Some(ConsentStatus::Denied | ConsentStatus::Withdrawn) => Err(Refusal::Denied),
            None if self.is_required && self.purposes.iter().any(|required| required == purpose) => {
                Err(Refusal::NoConsent)
            }
            None => Ok(()),
        }
    }

    /// Event before contact before tenant before profile before default.
    fn expires_at(&self, terms: &Terms<'_>) -> Option<Timestamp> {
        let stated = terms.stated.and_then(|stated| stated.retention_days);
        let known = terms.known.retention.map(|retention| retention.days);
        let own = |days: u32| (days > 0).then_some(days);
        let days = stated
            .or(known)
            .or_else(|| own(self.own_retention_days))
            .or_else(|| own(terms.profile_days))
            .or_else(|| own(self.retention_days))?;
        terms.kept_from.checked_add(SignedDuration::from_secs(i64::from(days).saturating_mul(SECONDS_OF_A_DAY))).ok()
    }
}

/// What was decided last: by the person as far as that is known, or by what the request says, which is as old as the message.
/// A request speaks of storing alone.
fn status(purpose: &str, terms: &Terms<'_>) -> Option<ConsentStatus> {
    let stated = terms.stated.filter(|_| purpose == STORE).and_then(|stated| match stated.consent.as_deref() {
        Some("granted") => Some(ConsentStatus::Granted),
        Some("denied") => Some(ConsentStatus::Denied),
        Some("withdrawn") => Some(ConsentStatus::Withdrawn),
        _ => None,
    });
    let known = terms.known.consents.get(purpose);
    match (stated, known) {
        (Some(stated), Some(known)) if known.decided_at < terms.sent_at => Some(stated),
        (_, Some(known)) => Some(known.status),
        (stated, None) => stated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::{Decision, Retention};

    const REQUIRED: [(&str, &str); 1] = [("privacy.consent", "required")];

    fn policy(flags: &[(&str, &str)]) -> Policy {
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Policy::new(&config::load(None, [], &flags).expect("valid"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn says(consent: &str) -> Privacy {
        Privacy { consent: Some(consent.to_owned()), ..Privacy::default() }
    }

    fn decided(purpose: &str, status: ConsentStatus, second: i64) -> Record {
        let decision = Decision { status, decided_at: at(second), evidence: None };
        Record { consents: BTreeMap::from([(purpose.to_owned(), decision)]), ..Record::default() }
    }

    fn asked(policy: &Policy, stated: Option<&Privacy>, known: &Record) -> Result<Permit, Refusal> {
        policy.of("acme").permit(&Terms { stated, known, sent_at: at(100), kept_from: at(100), profile_days: 0 })
    }

    #[test]
    fn opt_out_stores_until_somebody_objects_and_required_does_not() {
        let (open, strict) = (policy(&[]), policy(&REQUIRED));
        let nothing = Record::default();
        assert!(asked(&open, None, &nothing).is_ok());
        assert_eq!(asked(&strict, None, &nothing), Err(Refusal::NoConsent));
        assert_eq!(asked(&strict, Some(&says("unknown")), &nothing), Err(Refusal::NoConsent));
        for policy in [&open, &strict] {
            assert!(asked(policy, Some(&says("granted")), &nothing).is_ok());
            assert_eq!(asked(policy, Some(&says("denied")), &nothing), Err(Refusal::Denied));
            let withdrawn = decided("store", ConsentStatus::Withdrawn, 50);
            assert_eq!(asked(policy, None, &withdrawn), Err(Refusal::Denied));
        }
    }

    #[test]
    fn of_request_and_person_the_later_word_counts() {
        let open = policy(&[]);
        assert!(asked(&open, Some(&says("granted")), &decided("store", ConsentStatus::Withdrawn, 99)).is_ok());
        let later = decided("store", ConsentStatus::Withdrawn, 101);
        assert_eq!(asked(&open, Some(&says("granted")), &later), Err(Refusal::Denied));
        let granted = decided("store", ConsentStatus::Granted, 101);
        assert!(asked(&open, Some(&says("denied")), &granted).is_ok());
    }

    #[test]
    fn the_original_has_a_purpose_of_its_own() {
        let denied = decided("keep-original", ConsentStatus::Denied, 1);
        assert_eq!(asked(&policy(&[]), None, &denied).map(|permit| permit.keep_original), Ok(false));
        let strict = policy(&[("privacy.consent", "required"), ("privacy.consent_purposes", "store,keep-original")]);
        assert_eq!(
            asked(&strict, Some(&says("granted")), &Record::default()).map(|permit| permit.keep_original),
            Ok(false)
        );
    }

    #[test]
    fn a_tenant_has_its_own_policy() {
        let policy = policy(&[("tenants.a.tenant", "acme"), ("tenants.a.consent", "required")]);
        assert_eq!(asked(&policy, None, &Record::default()), Err(Refusal::NoConsent));
        assert!(!policy.of("a").is_required, "the table's name is not the tenant's");
    }

    #[test]
    fn the_nearest_period_counts_from_when_the_message_was_sent() {
        let day = SECONDS_OF_A_DAY;
        let all = policy(&[("privacy.retention_days", "9"), ("tenants.acme.retention_days", "8")]);
        let until = |policy: &Policy, event: Option<u32>, contact: Option<u32>, profile_days| {
            let stated = Privacy { retention_days: event, ..Privacy::default() };
            let retention = contact.map(|days| Retention { days, decided_at: at(0) });
            let known = Record { retention, ..Record::default() };
            let terms = Terms { stated: Some(&stated), known: &known, sent_at: at(0), kept_from: at(0), profile_days };
            let permit = policy.of("acme").permit(&terms).expect("allowed");
            permit.expires_at.map(|until| until.as_second() / day)
        };
        assert_eq!(until(&all, Some(1), Some(2), 3), Some(1));
        assert_eq!(until(&all, None, Some(2), 3), Some(2));
        assert_eq!(until(&all, None, None, 3), Some(8));
        let default = policy(&[("privacy.retention_days", "9")]);
        assert_eq!((until(&default, None, None, 3), until(&default, None, None, 0)), (Some(3), Some(9)));
        assert_eq!(until(&policy(&[]), None, None, 0), None);
    }
}
