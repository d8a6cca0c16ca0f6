//! Twilio, for WhatsApp and MMS: forms whose signature covers the URL and every parameter.
//!
//! Sources: <https://www.twilio.com/docs/messaging/guides/webhook-request>, <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.

mod form;
mod signature;

use jiff::Timestamp;

use super::{Account, Channel, Denied, Malformed, Reply, Request, Update};

/// A Twilio account.
#[derive(Debug)]
pub(super) struct Twilio {
    account: Account,
}

impl Twilio {
    pub(super) fn new(account: &Account) -> Self {
        Self { account: account.clone() }
    }
}

impl Channel for Twilio {
    /// `X-Twilio-Signature` with the account's primary auth token; after a promotion of another token both may sign.
    fn verify(&self, request: &Request<'_>, _now: Timestamp) -> Result<(), Denied> {
        signature::verify(&self.account.signing_keys, request)
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        form::parse(&self.account, request)
    }

    /// Any other content type is error 12300 in Twilio's console, and any text would be sent to the customer.
    fn success(&self) -> Reply {
        Reply { status: 200, content_type: Some("text/xml"), body: "<Response/>".to_owned() }
    }
}
