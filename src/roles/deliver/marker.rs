//! What a note ends with, so that it can be found again.

/// Hex digits of the event's id in a marker.
const MARKER_DIGITS: usize = 12;

/// What a note ends with, so that it can be found again: hex digits only, so that it is one word for a CRM's search.
#[must_use]
pub(super) fn marker(event_id: &str) -> String {
    let digits: String = event_id.chars().filter(char::is_ascii_alphanumeric).take(MARKER_DIGITS).collect();
    format!("mediamill {}", digits.to_ascii_lowercase())
}
