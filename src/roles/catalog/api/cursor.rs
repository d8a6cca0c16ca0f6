//! Cursors: a place in the order of time, for one search. A cursor that was made up, changed, or made for another search is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::roles::catalog::index::Place;

const MAC_BYTES: usize = 12;

/// Makes and reads cursors.
#[derive(Clone)]
pub(super) struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    /// With a key that follows from secrets that all replicas have.
    pub(super) fn new(secrets: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update("mediamill cursor 1");
        for secret in secrets {
            hash.update(secret.len().to_be_bytes());
            hash.update(secret);
        }
        Self { key: hash.finalize().into() }
    }

    /// The place as text, for the search that `search` says.
    pub(super) fn write(&self, place: Place, search: &str) -> String {
        let place = [place.sent_at.to_be_bytes(), place.id.to_be_bytes()].concat();
        let mac = self.mac(&place, search).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&place[..], &mac[..MAC_BYTES]].concat())
    }

    /// The place of a cursor of this search.
    pub(super) fn read(&self, text: &str, search: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, mac) = bytes.split_at_checked(16)?;
        let is_ours = mac.len() == MAC_BYTES && self.mac(place, search)?.verify_truncated_left(mac).is_ok();
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
        is_ours.then_some(Place { sent_at: number(&place[..8])?, id: number(&place[8..])? })
    }

    fn mac(&self, place: &[u8], search: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(place);
        mac.update(search.as_bytes());
        Some(mac)
    }
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_search_and_cannot_be_made_up() {
        let cursors = Cursors::new(&["a", "b"]);
        let place = Place { sent_at: -5, id: 7 };
        let text = cursors.write(place, "tenant=acme");
        assert_eq!(cursors.read(&text, "tenant=acme"), Some(place));
        assert_eq!(cursors.read(&text, "tenant=globex"), None);
        assert_eq!(Cursors::new(&["ab"]).read(&text, "tenant=acme"), None);
        for text in ["", "AAAA", "!", &text[1..], &format!("{text}A")] {
            assert_eq!(cursors.read(text, "tenant=acme"), None, "{text}");
        }
    }
}
