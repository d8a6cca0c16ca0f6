//! Ids of events that follow from what the event is about, so that a repetition has the same id.

use uuid::Uuid;

use super::RECEIVED_TYPE;

/// The namespace of event ids (a random UUID of this project's own, RFC 9562 section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6469_616d_4c1c_8f3e_2a51_7b90_d4e6);

/// `id` of the received event of a media, for whoever makes received events: the gateway and `import`. A webhook that is
/// delivered twice, also at the same moment to two gateways, is one event.
#[must_use]
pub fn received_id(tenant: &str, media_id: &str) -> String {
    derived(&[tenant, media_id, RECEIVED_TYPE])
}

/// `id` of an event about a message that carried a media: edited or revoked. `which` tells several events of one type
/// about the same media apart.
#[must_use]
pub fn update_id(tenant: &str, media_id: &str, event_type: &str, which: &str) -> String {
    derived(&[tenant, media_id, event_type, which])
}

/// `id` of an outcome: of the event type `event_type`, for the received event `cause`. `which` is the revision of a
/// normalized event, and the code of a rejected or failed one. `profile_version` is empty where no profile was looked up.
#[must_use]
pub fn outcome_id(
    tenant: &str,
    media_id: &str,
    profile_version: &str,
    event_type: &str,
    cause: &str,
    which: &str,
) -> String {
    derived(&[tenant, media_id, profile_version, event_type, cause, which])
}

/// UUID version 5 (RFC 9562) over the parts, each with its length in bytes in front, so that no two different lists give
/// the same text.
fn derived(parts: &[&str]) -> String {
    let mut name = String::new();
    for part in parts {
        name.push_str(&format!("{}\0{part}\0", part.len()));
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EDITED_TYPE, REVOKED_TYPE};

    #[test]
    fn an_event_has_one_id_and_different_events_have_different_ones() {
        let one = received_id("acme", "whatsapp-cloud-1");
        assert_eq!(one, received_id("acme", "whatsapp-cloud-1"));
        assert_eq!(one, "1177c524-76bd-5906-816d-05c2d0767296");
        let others = [
            received_id("acme", "whatsapp-cloud-2"),
            received_id("acm", "ewhatsapp-cloud-1"),
            update_id("acme", "whatsapp-cloud-1", EDITED_TYPE, "1"),
            update_id("acme", "whatsapp-cloud-1", EDITED_TYPE, "2"),
            update_id("acme", "whatsapp-cloud-1", REVOKED_TYPE, "1"),
        ];
        for (n, other) in others.iter().enumerate() {
            assert!(*other != one && !others[n + 1..].contains(other), "{n}");
        }
    }
}
