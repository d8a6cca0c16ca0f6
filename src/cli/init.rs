//! `mediamill init`: a configuration file from a few questions. What an option gives is not asked.

mod file;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use self::file::{Answers, Place};
use super::CliError;
use crate::channels::Provider;
use crate::config;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who sends the webhooks: whatsapp-cloud, 360dialog, twilio, messagebird, bird-channels or bird
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Name of the account: a part of the URL of its webhooks
    #[arg(long, value_name = "NAME", default_value = "support")]
    name: String,
    /// Whose media it is
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// WhatsApp: the phone number id. Twilio: the account SID
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The URL under which the provider reaches this gateway, without a path
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Access token, API key or auth token: env:NAME, file:/path, or the text, which is written to a file of its own
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
    /// What the provider signs webhooks with: as --token. Twilio's is the auth token
    #[arg(long, value_name = "SECRET")]
    app_secret: Option<String>,
    /// Where media go: s3://bucket/prefix or file:///directory
    #[arg(long, value_name = "URL", default_value = "file:///var/lib/mediamill")]
    store: String,
    /// RabbitMQ: as --token
    #[arg(long, value_name = "SECRET", default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    broker: String,
    /// Address and port on which webhooks are taken
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    listen: String,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "mediamill.toml")]
    out: PathBuf,
    /// Directory of the files that secrets are written to, which only you can read
    #[arg(long, value_name = "DIR", default_value = "secrets")]
    secrets: PathBuf,
}

/// Writes the file and prints what to enter at the provider. Writes over nothing. Exit code 0.
pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    if args.out.exists() {
        return Err(CliError::Usage(format!("{} is there already: init writes over nothing", args.out.display())));
    }
    let word = given(args.provider.as_ref(), "--provider", "Provider (whatsapp-cloud, 360dialog, twilio, bird, …)")?;
    let provider = Provider::parse(&word)
        .filter(|provider| *provider != Provider::Generic)
        .ok_or_else(|| CliError::Usage(format!("{word:?}: init knows whatsapp-cloud, 360dialog, twilio, messagebird, bird-channels and bird; write the keys of a generic one by hand")))?;
    let tenant = given(args.tenant.as_ref(), "--tenant", "Tenant (a name for whose media it is)")?;
    let public_url = given(args.public_url.as_ref(), "--public-url", "Public URL of the gateway (https://…)")?;
    let account = match file::account_question(provider) {
        Some(question) => given(args.account.as_ref(), "--account", question)?,
        None => args.account.clone().unwrap_or_default(),
    };
    let token = given(args.token.as_ref(), "--token", file::token_question(provider))?;
    let app_secret = match (file::secret_question(provider), &args.app_secret) {
        (_, Some(secret)) => Some(secret.clone()),
        (Some(question), None) => Some(given(None, "--app-secret", question)?),
        (None, None) => None,
    };
    let answers = Answers {
        provider,
        name: &args.name,
        tenant: &tenant,
        account: &account,
        public_url: public_url.trim_end_matches('/'),
        store: &args.store,
        listen: &args.listen,
    };
    let place = Place::new(&args.secrets)?;
    let text = answers.text(&place, &args.broker, &token, app_secret.as_deref())?;
    file::write_new(&args.out, text.as_bytes(), false)?;
    // What is written has to be what a start takes.
    config::load(Some(&args.out), std::env::vars_os(), &[])?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} is written.\n", args.out.display())?;
    for line in answers.steps(&place) {
        writeln!(out, "{line}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the option gives, or the answer to a question where somebody sits at the terminal.
fn given(option: Option<&String>, flag: &str, question: &str) -> Result<String, CliError> {
    if let Some(value) = option {
        return Ok(value.clone());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "{flag} is missing, and nobody can be asked: standard input is no terminal"
        )));
    }
    write!(io::stderr(), "{question}: ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_owned();
    if answer.is_empty() { Err(CliError::Usage(format!("no answer: {flag} is needed"))) } else { Ok(answer) }
}
