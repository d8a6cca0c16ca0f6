//! `mediamill channels`: the configured accounts, and what their providers say of them.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use super::{CliError, EXIT_FAILED, Format, Global, runtime};
use crate::channels::Provider;
use crate::channels::check::Finding;
use crate::config::{Channel, Config};
use crate::roles::gateway::{callback, check};
use crate::telemetry;

/// Options of `channels`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask each provider whether the account's credentials work, and which permission is missing
    #[arg(long)]
    check: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Ask providers that do not come again which messages they have, and publish those with media: the same events that their
    /// webhooks would have become
    Reconcile(super::reconcile::Args),
}

/// What is known of an account, and what to do about it.
pub(super) struct Line {
    pub(super) about: &'static str,
    pub(super) word: &'static str,
    pub(super) text: String,
    pub(super) advice: &'static str,
}

/// Lists, and asks where asked to. Exit codes: 0, and 1 where an account cannot work.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    if let Some(Action::Reconcile(args)) = &args.action {
        return super::reconcile::run(args, &config);
    }
    if config.channels.is_empty() {
        return Err(CliError::Usage("there is no account below channels: `mediamill init` makes one".to_owned()));
    }
    let runtime = runtime()?;
    let mut bad = false;
    for (name, channel) in &config.channels {
        let mut lines = settings(&config, name, channel);
        if args.check {
            lines.extend(runtime.block_on(asked(&config, name)));
        }
        bad |= lines.iter().any(|line| line.word == "bad");
        print(args.format, &config, name, channel, &lines)?;
    }
    Ok(ExitCode::from(if bad { EXIT_FAILED } else { 0 }))
}

/// What the configuration alone shows.
fn settings(config: &Config, name: &str, channel: &Channel) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut lacking = |about, holds: bool, text: &str, advice| {
        if !holds {
            lines.push(Line { about, word: "bad", text: text.to_owned(), advice });
        }
    };
    let by_token = !channel.token_header.is_empty() && !channel.verify_token.is_empty();
    let signed =
        !channel.app_secret.is_empty() || (Provider::try_from(channel.provider) == Ok(Provider::Dialog360) && by_token);
    lacking("signature", signed, "no key verifies webhooks: all of them are refused", "set app_secret");
    if Provider::try_from(channel.provider) == Ok(Provider::WhatsappCloud) {
        let handshake = !channel.verify_token.is_empty();
        lacking("handshake", handshake, "Meta's handshake would be refused", "set verify_token");
        lacking("account", !channel.account.is_empty(), "the phone number id is not known", "set account");
    }
    let has_url = callback(config, name).is_some();
    lacking("callback", has_url, "nobody knows the URL of the webhooks", "set gateway.public_url");
    lines
}

/// What the provider says.
pub(super) async fn asked(config: &Config, name: &str) -> Vec<Line> {
    match check(config, name).await {
        Ok(findings) => findings.into_iter().map(line).collect(),
        Err(error) => {
            vec![Line { about: "settings", word: "bad", text: error.to_string(), advice: "correct what is named here" }]
        }
    }
}

fn line((about, finding): (&'static str, Finding)) -> Line {
    match finding {
        Finding::Works(text) => Line { about, word: "ok", text, advice: "" },
        Finding::Fails(text, advice) => Line { about, word: "bad", text, advice },
        Finding::Unknown(text) => Line { about, word: "unknown", text, advice: "" },
    }
}

fn print(format: Format, config: &Config, name: &str, channel: &Channel, lines: &[Line]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let provider = Provider::try_from(channel.provider).map_or("", Provider::as_str);
    let callback = callback(config, name).unwrap_or_default();
    if format == Format::Json {
        let found: Vec<_> = lines
            .iter()
            .map(|line| json!({ "about": line.about, "state": line.word, "found": line.text, "advice": line.advice }))
            .collect();
        let line = json!({
            "account": name,
            "provider": provider,
            "tenant": channel.tenant,
            "callback": callback,
            "targets": channel.forward.len(),
            "findings": found,
        });
        return writeln!(out, "{line}");
    }
    let targets = match channel.forward.len() {
        0 => String::new(),
        count => format!("  passed on to {count}"),
    };
    writeln!(out, "{name}  {provider}  tenant {}  {callback}{targets}", channel.tenant)?;
    for Line { about, word, text, advice } in lines {
        writeln!(out, "  {word:<8} {about:<10} {text}")?;
        if !advice.is_empty() {
            writeln!(out, "  {:<8} {:<10} → {advice}", "", "")?;
        }
    }
    Ok(())
}
