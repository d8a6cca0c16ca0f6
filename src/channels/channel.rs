//! What every provider's webhooks have in common.

use jiff::Timestamp;

use super::{Denied, Malformed, Reply, Request, Update};

/// A provider's webhooks, for one account.
pub trait Channel: std::fmt::Debug + Send + Sync {
    /// Whether the provider has signed this request, with a key that is configured, recently enough where the scheme tells.
    /// Looks at nothing but raw bytes and compares in constant time.
    ///
    /// # Errors
    /// [`Denied`], also where no key is configured.
    fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Denied>;

    /// What a verified request tells of, in the order in which it does.
    ///
    /// # Errors
    /// [`Malformed`] where it is no webhook of this provider at all. Messages of unknown types are no error.
    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed>;

    /// The answer that the provider takes for "delivered".
    fn success(&self) -> Reply {
        Reply::OK
    }

    /// The answer to a request by which the provider finds out whether this URL is ours; nothing where it is no such request.
    ///
    /// # Errors
    /// [`Denied`] where it is one and does not know our token.
    fn handshake(&self, _request: &Request<'_>) -> Result<Option<Reply>, Denied> {
        Ok(None)
    }
}
