//! What messaging providers send to a gateway: whether it is genuine, and what it says. Everything here is pure.
//!
//! A webhook is verified over its raw bytes before anything in it is read ([`Channel::verify`]), and read after that
//! ([`Channel::parse`]): one webhook may tell of many messages. Reading is lenient where providers are known to change
//! (numbers as text, unknown types, fields that are absent), and never panics. [`outgoing`] turns what was read into events.
//!
//! A provider's id of a message may hold a phone number (WhatsApp's does, in base64). It stands in `message.message_id` and
//! nowhere else: not in a key, an event's id, a log or a label. See [`Carrier::media_id`].

pub mod check;
pub mod fetch;
pub mod missed;

mod account;
mod channel;
mod event;
mod request;
mod signature;
mod update;
mod value;

mod bird;
mod dialog360;
mod generic;
mod messagebird;
mod twilio;
mod whatsapp_cloud;

pub use account::{Account, AccountError, Credential, GenericRules, Provider};
pub use channel::Channel;
pub use event::{Outgoing, outgoing};
pub use request::{Denied, Malformed, Reply, Request};
pub use signature::{Keys, Scheme};
pub use update::{Carrier, Edit, IGNORED, Ignored, MAX_UPDATES, Media, Undelivered, Update};

/// The channel of an account.
///
/// # Errors
/// [`AccountError`] where a setting of the account cannot work.
pub fn open(account: &Account) -> Result<Box<dyn Channel>, AccountError> {
    Ok(match account.provider {
        Provider::WhatsappCloud => Box::new(whatsapp_cloud::WhatsappCloud::new(account)),
        Provider::Dialog360 => Box::new(dialog360::Dialog360::new(account)?),
        Provider::Twilio => Box::new(twilio::Twilio::new(account)),
        Provider::Messagebird => Box::new(messagebird::Messagebird::new(account)),
        Provider::BirdChannels => Box::new(bird::Channels::new(account)),
        Provider::Bird => Box::new(bird::Platform::new(account)?),
        Provider::Generic => Box::new(generic::Generic::new(account)?),
    })
}
