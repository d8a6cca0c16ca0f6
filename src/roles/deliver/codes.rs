//! What an operator does about each code of a delivery.

use crate::error::Code;

/// Codes of deliveries, each with what to do. The table of docs/deliver.md.
pub const ACTIONS: [(Code, &str); 16] = [
    (Code::DeliverNoRecord, "create the contact, or set on_missing of the map to create or skip; then replay"),
    (Code::DeliverAmbiguous, "merge the contacts, or match by an id; then replay"),
    (Code::DeliverMapping, "try the event with `mediamill deliver check`, mend the map, restart, resume; then replay"),
    (Code::DeliverRefused, "read the receiver's log: it refuses what it was sent"),
    (Code::DeliverAborted, "none: the receiver has asked for it"),
    (Code::DeliverUnavailable, "none while it passes; replay what was given up when the destination is there again"),
    (Code::DeliverThrottled, "none while it passes; a larger quota, or fewer other programs that use it"),
    (Code::DeliverLocked, "none while it passes; end the process that holds the record, then replay"),
    (
        Code::DeliverForbidden,
        "renew the credential or give it the rights that the page of the destination lists; then resume",
    ),
    (Code::DeliverGone, "set the endpoint's new URL, restart, resume; or remove the table"),
    (Code::DeliverDenied, "mend url, hosts, allow_private or signing_key, restart, resume"),
    (Code::DeliverDisabled, "find out why everything has failed, then resume"),
    (Code::DeliverExpired, "replay what is still wanted, or discard it"),
    (Code::DeliverLimitBytes, "raise body_bytes if the receiver takes more, restart; then replay"),
    (Code::DeliverLedger, "mend the database of ledger.url: nothing is delivered without it"),
    (
        Code::DeliverNoFile,
        "none where the media was deleted; else give deliver the same store as the worker, then replay",
    ),
];

/// What to do about a code; empty for codes that are none of a delivery.
#[must_use]
pub fn action(code: Code) -> &'static str {
    ACTIONS.iter().find(|(known, _)| *known == code).map_or("", |(_, action)| action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_delivery_has_an_action() {
        let all: Vec<_> = Code::ALL.iter().copied().filter(|code| code.as_str().starts_with("deliver.")).collect();
        assert_eq!(ACTIONS.map(|(code, _)| code).to_vec(), all);
    }
}
