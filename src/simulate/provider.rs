//! Dispatches to the simulated provider.

use super::played::{Answer, Asked, Delivered, Played, Webhook};
use super::{Provider, meta, twilio};

/// The n-th message and its webhook.
pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::webhook(played, n),
        Provider::Twilio => twilio::webhook(played, n),
    }
}

/// The media API's answer to a request.
pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::answer(played, asked),
        Provider::Twilio => twilio::answer(played, asked),
    }
}
