//! `[channels.<name>]`: one account of a messaging channel each.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::egress::Hosts;
use crate::secrets::Secret;

/// Who runs the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    /// Nobody is named, which [`crate::config::load`] refuses.
    #[serde(rename = "")]
    Unset,
    /// Meta's WhatsApp Business Cloud API.
    #[serde(rename = "whatsapp-cloud")]
    WhatsappCloud,
    /// 360dialog, which hosts the Cloud API.
    #[serde(rename = "360dialog")]
    Dialog360,
    /// Twilio (WhatsApp and MMS).
    #[serde(rename = "twilio")]
    Twilio,
    /// MessageBird's legacy Conversations API.
    #[serde(rename = "messagebird")]
    Messagebird,
    /// Bird's Channels API.
    #[serde(rename = "bird-channels")]
    BirdChannels,
    /// Bird's platform of 2026.
    #[serde(rename = "bird")]
    Bird,
    /// Anybody else, described by the account's own keys.
    #[serde(rename = "generic")]
    Generic,
}

/// `[channels.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Channel {
    pub provider: Provider,
    pub tenant: String,
    pub profile: String,
    pub account: String,
    pub numbers: Vec<String>,
    pub token: Secret,
    pub token_user: String,
    pub app_secret: Secret,
    pub app_secret_next: Secret,
    pub verify_token: Secret,
    pub token_header: String,
    pub echoes: bool,
    pub history: bool,
    pub forward: Vec<String>,
    pub api_base: String,
    pub api_version: String,
    pub hosts: Vec<String>,
    pub user_agent: String,
    pub media_id_lifetime_s: u64,
    pub max_errors: u32,
    pub error_window_s: u64,
    pub error_pause_s: u64,
    pub signature: String,
    pub signature_header: String,
    pub signature_prefix: String,
    pub at_messages: String,
    pub at_id: String,
    pub at_url: String,
    pub at_mime_type: String,
    pub at_file_name: String,
    pub at_caption: String,
    pub at_contact: String,
    pub at_contact_name: String,
    pub at_time: String,
    pub at_account: String,
    pub at_from_me: String,
    pub channel: String,
}

impl Channel {
    /// The secrets of an account, each with its key.
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 4] {
        [
            ("token", &self.token),
            ("app_secret", &self.app_secret),
            ("app_secret_next", &self.app_secret_next),
            ("verify_token", &self.verify_token),
        ]
    }

    /// What is wrong with an account, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key, problem: &str| {
            if !holds {
                problems.push((key, problem.to_owned()));
            }
        };
        let named = self.provider != Provider::Unset;
        let providers = "must be whatsapp-cloud, 360dialog, twilio, messagebird, bird-channels, bird or generic";
        expect(named, "provider", providers);
        let tenant_ok = (1..=MAX_TENANT_BYTES).contains(&self.tenant.len());
        expect(tenant_ok, "tenant", &format!("must have 1 to {MAX_TENANT_BYTES} bytes"));
        let base_ok = self.api_base.is_empty() || is_base(&self.api_base);
        expect(base_ok, "api_base", "must be an http:// or https:// URL without user, query and fragment, or empty");
        let hosts = Hosts::new(&self.hosts).map(|_hosts| ()).map_err(|error| error.to_string());
        expect(hosts.is_ok(), "hosts", hosts.as_ref().err().map_or("", String::as_str));
        let header = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        expect(header(&self.user_agent), "user_agent", "must be printable ASCII");
        expect(header(&self.token_user), "token_user", "must be printable ASCII");
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        for (key, name) in [("token_header", &self.token_header), ("signature_header", &self.signature_header)] {
            expect(name.bytes().all(lower), key, "must be the name of a header in lower case, or empty");
        }
        let targets: std::collections::BTreeSet<&String> = self.forward.iter().collect();
        let forward_ok = targets.len() == self.forward.len() && self.forward.iter().all(|url| is_target(url));
        let problem =
            "every entry must be an http:// or https:// URL without user and fragment, and none may occur twice";
        expect(forward_ok, "forward", problem);
        let forward_few = self.forward.len() <= MAX_TARGETS;
        expect(forward_few, "forward", &format!("must have at most {MAX_TARGETS} entries"));
        for (key, value) in [
            ("media_id_lifetime_s", self.media_id_lifetime_s),
            ("max_errors", self.max_errors.into()),
            ("error_window_s", self.error_window_s),
            ("error_pause_s", self.error_pause_s),
        ] {
            expect(value > 0, key, "must be more than 0");
        }
        expect(self.max_errors <= MAX_ERRORS, "max_errors", &format!("must be at most {MAX_ERRORS}"));
        for (key, value) in [("error_window_s", self.error_window_s), ("error_pause_s", self.error_pause_s)] {
            expect(value <= MAX_PAUSE_S, key, &format!("must be at most {MAX_PAUSE_S}"));
        }
        let schemes =
            "must be hmac-sha1, hmac-sha256, hmac-sha384 or hmac-sha512 with -hex or -base64 behind it, or token";
        let generic = self.provider == Provider::Generic;
        expect(!generic || is_signature(&self.signature), "signature", schemes);
        for (key, pointer) in self.pointers() {
            let problem = "must be a JSON pointer, which begins with a slash, or empty";
            expect(pointer.is_empty() || pointer.starts_with('/'), key, problem);
        }
        for (key, value) in
            [("signature_header", &self.signature_header), ("at_id", &self.at_id), ("at_url", &self.at_url)]
        {
            expect(!generic || !value.is_empty(), key, "must be there where provider is generic");
        }
        let has_hosts = !self.hosts.is_empty() || !self.api_base.is_empty();
        expect(!generic || has_hosts, "hosts", "must be there where provider is generic and api_base is empty");
        problems
    }

    fn pointers(&self) -> [(&'static str, &str); 11] {
        [
            ("at_messages", &self.at_messages),
            ("at_id", &self.at_id),
            ("at_url", &self.at_url),
            ("at_mime_type", &self.at_mime_type),
            ("at_file_name", &self.at_file_name),
            ("at_caption", &self.at_caption),
            ("at_contact", &self.at_contact),
            ("at_contact_name", &self.at_contact_name),
            ("at_time", &self.at_time),
            ("at_account", &self.at_account),
            ("at_from_me", &self.at_from_me),
        ]
    }
}

fn is_signature(text: &str) -> bool {
    let hashes = ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"];
    let is_mac = |text: &str| {
        text.rsplit_once('-').is_some_and(|(hash, form)| hashes.contains(&hash) && ["hex", "base64"].contains(&form))
    };
    text == "token" || is_mac(text)
}

/// Most targets of an account: each webhook is in as many queues.
const MAX_TARGETS: usize = 8;
/// More errors than this are no budget.
const MAX_ERRORS: u32 = 10_000;
/// A week: as long as a provider keeps media.
const MAX_PAUSE_S: u64 = 7 * 24 * 3600;
/// As long as a tenant in an event may be.
const MAX_TENANT_BYTES: usize = crate::events::MAX_ID_BYTES;

fn is_target(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare
    })
}

fn is_base(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && bare
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
