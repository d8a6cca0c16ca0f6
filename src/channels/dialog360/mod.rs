//! 360dialog, which hosts the Cloud API: Meta's webhooks, without Meta's signature.
//!
//! Sources: <https://docs.360dialog.com/partner/messaging/sending-and-receiving-messages/receiving-messages-via-webhook>,
//! <https://docs.360dialog.com/partner/onboarding/webhook-events-and-setup/signature-validation>.

use jiff::Timestamp;

use super::signature::from_hex;
use super::{Account, AccountError, Channel, Denied, Malformed, Request, Scheme, Update, whatsapp_cloud};

/// An account of 360dialog's.
#[derive(Debug)]
pub(super) struct Dialog360 {
    account: Account,
    /// Whether a signature has to be there: a secret that is empty after it was read again does not make it optional.
    is_signed: bool,
}

impl Dialog360 {
    pub(super) fn new(account: &Account) -> Result<Self, AccountError> {
        let has_token = account.token_header.is_some() && !account.verify_tokens.is_empty();
        if account.signing_keys.is_empty() && !has_token {
            return Err(AccountError::Missing("app_secret (partners), or token_header and verify_token"));
        }
        Ok(Self { is_signed: !account.signing_keys.is_empty(), account: account.clone() })
    }
}

impl Channel for Dialog360 {
    /// Partners have a signature, `x-360dialog-signature`: HMAC-SHA256 over the raw body in hex, seen with and without
    /// `sha256=` in front. Everybody else sets a static header of their own choosing with the webhook's URL. Where both are
    /// configured, both have to be right.
    fn verify(&self, request: &Request<'_>, _now: Timestamp) -> Result<(), Denied> {
        let Account { signing_keys, verify_tokens, token_header, .. } = &self.account;
        if let Some(header) = token_header {
            let token = request.header(header).ok_or(Denied::Unsigned)?;
            verify_tokens.equals(token.as_bytes())?;
            if signing_keys.is_empty() && !self.is_signed {
                return Ok(());
            }
        }
        if signing_keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let signature = request.header("x-360dialog-signature").ok_or(Denied::Unsigned)?;
        signing_keys.verify(Scheme::Sha256, &[request.body], &from_hex(signature, "sha256=")?)
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        whatsapp_cloud::parse(&self.account, request.body)
    }
}
