//! Where each provider's files are, and what authorizes a request for them.

use url::Url;

use super::Refused;
use crate::channels::Provider;
use crate::config;
use crate::egress::{Credential, Hosts};

/// Longest id of a file.
const MAX_ID_BYTES: usize = 256;

pub(super) const fn base(provider: Provider) -> &'static str {
    match provider {
        Provider::WhatsappCloud => "https://graph.facebook.com",
        Provider::Dialog360 => "https://waba-v2.360dialog.io",
        Provider::Twilio => "https://api.twilio.com",
        Provider::Messagebird => "https://conversations.messagebird.com",
        Provider::BirdChannels => "https://api.bird.com",
        Provider::Bird => "https://platform.bird.com",
        Provider::Generic => "",
    }
}

pub(super) const fn version(provider: Provider) -> &'static str {
    match provider {
        Provider::WhatsappCloud => "v24.0",
        _ => "",
    }
}

/// The provider's own hosts; where its API is configured to be elsewhere, that host alone.
pub(super) fn hosts(provider: Provider, api: &str) -> Vec<String> {
    let own: &[&str] = match provider {
        Provider::WhatsappCloud => &["graph.facebook.com", "lookaside.fbsbx.com"],
        Provider::Dialog360 => &["waba-v2.360dialog.io"],
        // `api.<edge>.<region>.twilio.com` and `api.<region>.twilio.com` are those of the regions; `twilio` below takes no other
        // name than `api` in front.
        Provider::Twilio => &[
            "api.twilio.com",
            "*.us1.twilio.com",
            "*.ie1.twilio.com",
            "*.au1.twilio.com",
            "api.us1.twilio.com",
            "api.ie1.twilio.com",
            "api.au1.twilio.com",
        ],
        Provider::Messagebird => {
            &["media.messagebird.com", "messaging.messagebird.com", "conversations.messagebird.com"]
        }
        Provider::BirdChannels => {
            &["media.api.bird.com", "api.bird.com", "media.nest.messagebird.com", "nest.messagebird.com"]
        }
        Provider::Bird => &["platform.bird.com", "*.platform.bird.com"],
        Provider::Generic => &[],
    };
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin().ascii_serialization());
    if origin(api) == origin(base(provider)) {
        return own.iter().map(|host| (*host).to_owned()).collect();
    }
    origin(api).into_iter().collect()
}

pub(super) fn credential(provider: Provider, config: &config::Channel, hosts: &Hosts) -> Option<Credential> {
    let (token, hosts) = (config.token.clone(), hosts.clone());
    Some(match provider {
        Provider::Dialog360 => Credential::header("d360-api-key", token, hosts),
        Provider::Twilio => {
            let user = if config.token_user.is_empty() { &config.account } else { &config.token_user };
            Credential::basic(user.clone().into(), token, hosts)
        }
        Provider::Messagebird | Provider::BirdChannels => Credential::authorization("AccessKey ", token, hosts),
        Provider::WhatsappCloud | Provider::Bird => Credential::bearer(token, hosts),
        Provider::Generic if token.is_empty() => return None,
        Provider::Generic => Credential::bearer(token, hosts),
    })
}

/// An id that can stand in a path as it is.
pub(super) fn id(media: &str) -> Result<&str, Refused> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_id = !media.is_empty() && media.len() <= MAX_ID_BYTES && media.bytes().all(plain);
    if is_id { Ok(media) } else { Err(Refused::Event("what the event names is no id of the provider's")) }
}

/// A URL of one of the account's hosts.
pub(super) fn link(media: &str, hosts: &Hosts) -> Result<String, Refused> {
    let url = Url::parse(media).map_err(|_| Refused::Event("what the event names is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Event("what the event names is a URL with a user or a password"));
    }
    if !hosts.admit(&url) {
        return Err(Refused::Host);
    }
    Ok(url.into())
}

/// A URL of the account's own files: `/2010-04-01/Accounts/<ours>/Messages/<MM|SM…>/Media/<ME…>`, and nothing behind it.
pub(super) fn twilio(media: &str, hosts: &Hosts, account_id: &str) -> Result<String, Refused> {
    let url = link(media, hosts)?;
    let not_ours = Refused::Event("what the event names is no file of the account's");
    let parsed = Url::parse(&url).map_err(|_| not_ours.clone())?;
    let host = parsed.host_str().unwrap_or_default();
    if host.ends_with(".twilio.com") && !host.starts_with("api.") {
        return Err(Refused::Host);
    }
    let segments: Vec<&str> = parsed.path_segments().map(Iterator::collect).unwrap_or_default();
    let sid = |text: &str, kinds: &[&str]| {
        let digits = kinds.iter().find_map(|kind| text.strip_prefix(kind));
        digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_ours = match segments[..] {
        ["2010-04-01", "Accounts", account, "Messages", message, "Media", file] => {
            account == account_id && sid(message, &["MM", "SM"]) && sid(file, &["ME"])
        }
        _ => false,
    };
    if is_ours && parsed.query().is_none() && parsed.fragment().is_none() { Ok(url) } else { Err(not_ours) }
}
