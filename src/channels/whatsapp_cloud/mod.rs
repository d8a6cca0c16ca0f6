//! WhatsApp Business Cloud API: webhooks signed with the app's secret.
//!
//! Sources: Meta's pages on webhooks, media and unsupported messages
//! (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint>).

mod message;
mod webhook;

use jiff::Timestamp;

use super::signature::from_hex;
use super::{Account, Channel, Denied, Malformed, Reply, Request, Scheme, Update};

pub(super) use webhook::parse;

/// An account of the Cloud API.
#[derive(Debug)]
pub(super) struct WhatsappCloud {
    account: Account,
}

impl WhatsappCloud {
    pub(super) fn new(account: &Account) -> Self {
        Self { account: account.clone() }
    }
}

impl Channel for WhatsappCloud {
    /// `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body. Meta signs the escaped form that it sends; the
    /// scheme has no time in it, and repetitions are one event by their id.
    fn verify(&self, request: &Request<'_>, _now: Timestamp) -> Result<(), Denied> {
        if self.account.signing_keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let header = request.header("x-hub-signature-256").ok_or(Denied::Unsigned)?;
        if !header.starts_with("sha256=") {
            return Err(Denied::Unreadable);
        }
        let mac = from_hex(header, "sha256=")?;
        self.account.signing_keys.verify(Scheme::Sha256, &[request.body], &mac)
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        parse(&self.account, request.body)
    }

    /// `GET ?hub.mode=subscribe&hub.challenge=<n>&hub.verify_token=<ours>` is answered with the bare challenge.
    fn handshake(&self, request: &Request<'_>) -> Result<Option<Reply>, Denied> {
        if !request.is_get {
            return Ok(None);
        }
        let token = request.parameter("hub.verify_token").ok_or(Denied::Unsigned)?;
        self.account.verify_tokens.equals(token.as_bytes())?;
        let challenge = request.parameter("hub.challenge").ok_or(Denied::Unreadable)?;
        let is_plain = challenge.len() <= 256 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let subscribes = request.parameter("hub.mode").as_deref() == Some("subscribe");
        if is_plain && subscribes { Ok(Some(Reply::text(challenge))) } else { Err(Denied::Unreadable) }
    }
}
