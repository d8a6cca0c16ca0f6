//! Dispatches to the simulated provider.

use std::io;

use super::played::{Answer, Asked, Delivered, Played, Webhook};
use super::{Options, Provider, bird, bird_channels, generic, messagebird, meta, twilio};

/// Whether the options fit the provider.
pub(super) fn check(options: &Options) -> io::Result<()> {
    if options.provider == Provider::Bird && bird::key(&options.secret).is_none() {
        let text = "the secret is not whsec_ and base64, which Bird's platform signs with";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

/// The n-th message and its webhook. It is made for each attempt, because some signatures are valid for minutes only.
pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::webhook(played, n),
        Provider::Twilio => twilio::webhook(played, n),
        Provider::Messagebird => messagebird::webhook(played, n),
        Provider::BirdChannels => bird_channels::webhook(played, n),
        Provider::Bird => bird::webhook(played, n),
        Provider::Generic => generic::webhook(played, n),
    }
}

/// The media API's answer to a request.
pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    match played.options.provider {
        Provider::WhatsappCloud | Provider::Dialog360 => meta::answer(played, asked),
        Provider::Twilio => twilio::answer(played, asked),
        Provider::Messagebird => messagebird::answer(played, asked),
        Provider::BirdChannels => bird_channels::answer(played, asked),
        Provider::Bird => bird::answer(played, asked),
        Provider::Generic => generic::answer(played, asked),
    }
}
