//! What is configured of a channel account.

use std::time::Duration;

use super::{Keys, Scheme};
use crate::config;

/// A messaging provider, in one of its generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// WhatsApp Business Cloud API (Meta).
    WhatsappCloud,
    /// 360dialog, which hosts the Cloud API.
    Dialog360,
    /// Twilio, for WhatsApp and MMS.
    Twilio,
    /// MessageBird's Conversations API, the oldest of Bird's three generations.
    Messagebird,
    /// Bird's Channels API, the second generation.
    BirdChannels,
    /// Bird's platform of 2026.
    Bird,
    /// Any other one, described by [`GenericRules`].
    Generic,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::WhatsappCloud,
        Self::Dialog360,
        Self::Twilio,
        Self::Messagebird,
        Self::BirdChannels,
        Self::Bird,
        Self::Generic,
    ];

    /// The word used in the configuration, in media ids, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhatsappCloud => "whatsapp-cloud",
            Self::Dialog360 => "360dialog",
            Self::Twilio => "twilio",
            Self::Messagebird => "messagebird",
            Self::BirdChannels => "bird-channels",
            Self::Bird => "bird",
            Self::Generic => "generic",
        }
    }

    /// The provider of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == word)
    }
}

/// A channel account: a table below `channels` of the configuration.
#[derive(Debug, Clone)]
pub struct Account {
    /// Name of the table.
    pub name: String,
    /// Who sends the webhooks.
    pub provider: Provider,
    /// Whose media it is.
    pub tenant: String,
    /// Compression profile; the worker's default where there is none.
    pub profile: Option<String>,
    /// Keys that webhooks are signed with: Meta's app secret, Twilio's auth token, a signing key. More than one while one
    /// takes the other's place.
    pub signing_keys: Keys,
    /// Token of the handshake (Meta), or the value of [`Account::token_header`].
    pub verify_tokens: Keys,
    /// Header in which a provider that signs nothing sends a token of our choosing, in lower case (360dialog).
    pub token_header: Option<String>,
    /// Numbers or account ids of the provider whose messages are taken; all where there is none.
    pub numbers: Vec<String>,
    /// Whether messages from us to the customer are media too, where the provider sends them.
    pub echoes: bool,
    /// Whether messages of old chats are media too, where the provider sends them.
    pub history: bool,
    /// Whether its webhooks are passed on to others as they came.
    pub is_passed_on: bool,
    /// How long the provider keeps files.
    pub lifetime: Duration,
    /// How an account of a provider that is not built in is read.
    pub generic: Option<GenericRules>,
}

impl Account {
    /// The account of a table below `channels`.
    ///
    /// # Errors
    /// [`AccountError`] where a setting cannot work.
    pub fn new(name: &str, config: &config::Channel) -> Result<Self, AccountError> {
        let provider = Provider::try_from(config.provider)?;
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Self {
            name: name.to_owned(),
            provider,
            tenant: config.tenant.clone(),
            profile: text(&config.profile),
            signing_keys: Keys::new([&config.app_secret, &config.app_secret_next]),
            verify_tokens: Keys::new([&config.verify_token]),
            token_header: text(&config.token_header),
            numbers: config.numbers.clone(),
            echoes: config.echoes,
            history: config.history,
            is_passed_on: !config.forward.is_empty(),
            lifetime: Duration::from_secs(config.media_id_lifetime_s),
            generic: if provider == Provider::Generic { Some(GenericRules::new(config)?) } else { None },
        })
    }

    /// Whether messages to this number or account of the provider are taken.
    #[must_use]
    pub(super) fn takes(&self, account_id: &str) -> bool {
        self.numbers.is_empty() || self.numbers.iter().any(|number| number == account_id)
    }
}

/// How a provider signs that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An HMAC over the raw body in a header.
    Hmac {
        /// Its hash function.
        scheme: super::Scheme,
        /// In base64 instead of hex.
        is_base64: bool,
        /// What stands in front of it, such as `sha256=`.
        prefix: String,
    },
    /// A token of our choosing in a header.
    Token,
}

/// A provider that is not built in, as data. Pointers are JSON pointers (RFC 6901); an empty one means that the provider does
/// not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenericRules {
    /// What is compared with the account's keys.
    pub credential: Credential,
    /// The header that holds it, in lower case.
    pub header: String,
    /// The array of messages; empty where the whole body is one.
    pub messages: String,
    /// Within a message: its id.
    pub id: String,
    /// Within a message: URL of the file. A message without one is no media.
    pub url: String,
    /// Within a message: MIME type of the file.
    pub mime_type: String,
    /// Within a message: name of the file.
    pub file_name: String,
    /// Within a message: text under the file.
    pub caption: String,
    /// Within a message: who sent it, a phone number or another id. What stands behind `@` is left out.
    pub contact: String,
    /// Within a message: name of who sent it.
    pub contact_name: String,
    /// Within a message: when it was sent, RFC 3339 or Unix time.
    pub time: String,
    /// Within the body: number or account id of ours.
    pub account_id: String,
    /// Number or account id of ours where the body names none.
    pub account: String,
    /// Within a message: a value that is true where the message came from us.
    pub from_me: String,
    /// What `message.channel` says.
    pub channel: String,
}

impl GenericRules {
    fn new(config: &config::Channel) -> Result<Self, AccountError> {
        let credential = match config.signature.as_str() {
            "token" => Credential::Token,
            signature => {
                let unknown = AccountError::Wrong("signature", "is no scheme of signatures");
                let (scheme, form) = signature.rsplit_once('-').ok_or(unknown.clone())?;
                let scheme = Scheme::parse(scheme).ok_or(unknown)?;
                Credential::Hmac { scheme, is_base64: form == "base64", prefix: config.signature_prefix.clone() }
            }
        };
        Ok(Self {
            credential,
            header: config.signature_header.clone(),
            messages: config.at_messages.clone(),
            id: config.at_id.clone(),
            url: config.at_url.clone(),
            mime_type: config.at_mime_type.clone(),
            file_name: config.at_file_name.clone(),
            caption: config.at_caption.clone(),
            contact: config.at_contact.clone(),
            contact_name: config.at_contact_name.clone(),
            time: config.at_time.clone(),
            account_id: config.at_account.clone(),
            account: config.account.clone(),
            from_me: config.at_from_me.clone(),
            channel: config.channel.clone(),
        })
    }
}

impl TryFrom<config::Provider> for Provider {
    type Error = AccountError;

    fn try_from(provider: config::Provider) -> Result<Self, AccountError> {
        Ok(match provider {
            config::Provider::Unset => return Err(AccountError::Missing("provider")),
            config::Provider::WhatsappCloud => Self::WhatsappCloud,
            config::Provider::Dialog360 => Self::Dialog360,
            config::Provider::Twilio => Self::Twilio,
            config::Provider::Messagebird => Self::Messagebird,
            config::Provider::BirdChannels => Self::BirdChannels,
            config::Provider::Bird => Self::Bird,
            config::Provider::Generic => Self::Generic,
        })
    }
}

/// A setting of an account that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// A setting that the provider needs.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A setting that cannot be read.
    #[error("{0}: {1}")]
    Wrong(&'static str, &'static str),
}
