//! Which provider is played.

use super::played::{Answer, Asked, Delivered, Played, Webhook};
use super::{Provider, meta, twilio};

/// The n-th message, and the webhook that tells of it.
pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::webhook(played, n),
        Provider::Twilio => twilio::webhook(played, n),
    }
}

/// What the media API answers.
pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::answer(played, asked),
        Provider::Twilio => twilio::answer(played, asked),
    }
}
