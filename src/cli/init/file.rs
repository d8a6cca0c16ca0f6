//! The file that `init` writes, the files of its secrets, and the steps that are left.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::Rng;
use toml::Value;

use crate::channels::Provider;

/// The header in which 360dialog sends our token.
const TOKEN_HEADER: &str = "x-mediamill-token";

/// The directory of the secrets.
pub(super) struct Place {
    dir: PathBuf,
    /// Made here: Meta's verify token, or 360dialog's header.
    verify_token: String,
}

/// What was answered.
pub(super) struct Answers<'a> {
    pub(super) provider: Provider,
    pub(super) name: &'a str,
    pub(super) tenant: &'a str,
    pub(super) account: &'a str,
    pub(super) public_url: &'a str,
    pub(super) store: &'a str,
    pub(super) listen: &'a str,
}

/// What the provider calls the account, where it has to be known.
pub(super) const fn account_question(provider: Provider) -> Option<&'static str> {
    match provider {
        Provider::WhatsappCloud => Some("Phone number id (WhatsApp, API Setup)"),
        Provider::Twilio => Some("Account SID (AC…)"),
        Provider::Dialog360 | Provider::Messagebird | Provider::BirdChannels | Provider::Bird | Provider::Generic => {
            None
        }
    }
}

/// What requests are authorized with.
pub(super) const fn token_question(provider: Provider) -> &'static str {
    match provider {
        Provider::WhatsappCloud => "Access token of a system user (env:NAME, file:/path, or the token)",
        Provider::Twilio => "Auth token (env:NAME, file:/path, or the token)",
        Provider::Dialog360 | Provider::Messagebird | Provider::BirdChannels | Provider::Bird | Provider::Generic => {
            "API key (env:NAME, file:/path, or the key)"
        }
    }
}

/// What webhooks are signed with, where that is another secret than the token.
pub(super) const fn secret_question(provider: Provider) -> Option<&'static str> {
    match provider {
        Provider::WhatsappCloud => Some("App secret (App settings, Basic; env:NAME, file:/path, or the secret)"),
        Provider::Messagebird | Provider::BirdChannels | Provider::Bird => {
            Some("Signing key of the webhook (env:NAME, file:/path, or the key)")
        }
        Provider::Twilio | Provider::Dialog360 | Provider::Generic => None,
    }
}

impl Place {
    /// A directory that only its owner can read.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let verify_token = hex::encode(rand::rng().random::<[u8; 16]>());
        Ok(Self { dir: dir.canonicalize()?, verify_token })
    }

    /// A reference to a secret: as it was given, or to a file that it is written to.
    fn reference(&self, name: &str, given: &str) -> io::Result<String> {
        if given.starts_with("env:") || given.starts_with("file:") {
            return Ok(given.to_owned());
        }
        let path = self.dir.join(name);
        write_new(&path, given.as_bytes(), true)?;
        Ok(format!("file:{}", path.display()))
    }
}

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, bytes: &[u8], is_secret: bool) -> io::Result<()> {
    let mode = if is_secret { 0o600 } else { 0o644 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    file.map_err(told)?.write_all(bytes).map_err(told)
}

impl Answers<'_> {
    /// The configuration, with the secrets in files.
    pub(super) fn text(
        &self,
        place: &Place,
        broker: &str,
        token: &str,
        app_secret: Option<&str>,
    ) -> io::Result<String> {
        let named = |what: &str| format!("{}-{what}", self.name);
        let token = place.reference(&named("token"), token)?;
        let mut account = vec![("provider", self.provider.as_str().to_owned()), ("tenant", self.tenant.to_owned())];
        if !self.account.is_empty() {
            account.push(("account", self.account.to_owned()));
        }
        account.push(("token", token.clone()));
        match app_secret {
            Some(secret) => account.push(("app_secret", place.reference(&named("app-secret"), secret)?)),
            None if self.provider == Provider::Twilio => account.push(("app_secret", token)),
            None => {}
        }
        if self.has_verify_token() {
            account.push(("verify_token", place.reference(&named("verify-token"), &place.verify_token)?));
        }
        if self.provider == Provider::Dialog360 {
            account.push(("token_header", TOKEN_HEADER.to_owned()));
        }
        let broker =
            if broker.contains("guest:guest@") { broker.to_owned() } else { place.reference("broker", broker)? };
        let sections = [
            ("broker".to_owned(), vec![("url", broker)]),
            ("store".to_owned(), vec![("url", self.store.to_owned())]),
            (
                "gateway".to_owned(),
                vec![("listen", self.listen.to_owned()), ("public_url", self.public_url.to_owned())],
            ),
            (format!("channels.{}", self.name), account),
        ];
        let section = |(name, keys): (String, Vec<(&str, String)>)| {
            let lines = keys.into_iter().map(|(key, value)| format!("{key} = {}\n", Value::String(value)));
            format!("[{name}]\n{}", lines.collect::<String>())
        };
        Ok(sections.map(section).join("\n"))
    }

    /// What is left to do, in order.
    pub(super) fn steps(&self, place: &Place) -> Vec<String> {
        let mut steps = vec![format!("callback URL:  {}/v1/channels/{}", self.public_url, self.name)];
        match self.provider {
            Provider::WhatsappCloud => steps.push(format!("verify token:  {}", place.verify_token)),
            Provider::Dialog360 => steps.push(format!("header:        {TOKEN_HEADER}: {}", place.verify_token)),
            Provider::Twilio => steps.push("retries:       append #rc=5&rp=all to the callback URL".to_owned()),
            Provider::Messagebird | Provider::BirdChannels | Provider::Bird | Provider::Generic => {}
        }
        let page = match self.provider {
            Provider::Messagebird | Provider::BirdChannels | Provider::Bird => "bird",
            other => other.as_str(),
        };
        steps.extend([
            String::new(),
            "1. mediamill --config FILE channels --check   asks the provider whether the account works".to_owned(),
            "2. mediamill --config FILE up                 takes webhooks and fetches files".to_owned(),
            format!("3. enter the above at the provider: docs/channels/{page}.md has the steps"),
        ]);
        steps
    }

    const fn has_verify_token(&self) -> bool {
        matches!(self.provider, Provider::WhatsappCloud | Provider::Dialog360)
    }
}
