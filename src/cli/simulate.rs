//! `mediamill simulate`: a messaging provider on this machine.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, Global, runtime};
use crate::simulate::{self, Delivered, Faults, Options, Provider};
use crate::telemetry;

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which provider
    #[arg(value_enum)]
    provider: Played,
    /// Where its media API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The gateway's URL of the account: http://127.0.0.1:8080/v1/channels/NAME. Without it only the media API is played
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The URL that the gateway takes for its own, where that is another one: the signatures of twilio, messagebird and
    /// bird-channels cover it
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Whose files are sent
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    folder: PathBuf,
    /// What webhooks are signed with: Meta's app secret, Twilio's auth token, a partner's secret, a signing key; for bird
    /// whsec_ and base64 [default: simulated-secret; bird: whsec_c2ltdWxhdGVkLXNlY3JldA==]
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// What the media API asks for: a token, an API key, or the password of the account
    #[arg(long, value_name = "TEXT", default_value = "simulated-token")]
    token: String,
    /// Number or account id that messages come to
    #[arg(long, value_name = "ID")]
    account_id: Option<String>,
    /// How many messages are sent
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Messages a second; 0 for as fast as they are taken
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    rate: f64,
    /// Webhooks on their way at the same time
    #[arg(long, value_name = "N", default_value_t = 8)]
    at_once: usize,
    /// What goes wrong, with commas between: expired, not-yet, unavailable, throttled, cut, html, duplicates, reordered,
    /// noise, or all
    #[arg(long, value_name = "LIST", default_value = "", value_parser = Faults::parse)]
    faults: Faults,
    /// Unix time at which the first message was sent; now by default. With the same one, all messages are the same again
    #[arg(long, value_name = "SECONDS")]
    first_sent: Option<u64>,
    /// For what is left to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Played {
    /// WhatsApp Business Cloud API (Meta)
    WhatsappCloud,
    /// 360dialog
    #[value(name = "360dialog")]
    Dialog360,
    /// Twilio
    Twilio,
    /// MessageBird Conversations
    Messagebird,
    /// Bird Channels
    BirdChannels,
    /// Bird's platform of 2026
    Bird,
    /// Any other one, in the shape of WAHA's webhooks
    Generic,
}

/// Plays the provider until SIGTERM or SIGINT. Each message that the gateway has taken is a line of JSON on standard output.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let (provider, account_id) = match args.provider {
        Played::WhatsappCloud => (Provider::WhatsappCloud, "800000000000001"),
        Played::Dialog360 => (Provider::Dialog360, "800000000000001"),
        Played::Twilio => (Provider::Twilio, "AC00000000000000000000000000000001"),
        Played::Messagebird => (Provider::Messagebird, "ch000000000000000000000000000001"),
        Played::BirdChannels => (Provider::BirdChannels, "00000000-0000-4000-9000-000000000001"),
        Played::Bird => (Provider::Bird, "ws_00000000000000000000000001"),
        Played::Generic => (Provider::Generic, "default"),
    };
    let secret = if provider == Provider::Bird { "whsec_c2ltdWxhdGVkLXNlY3JldA==" } else { "simulated-secret" };
    let options = Options {
        provider,
        listen: args.listen,
        webhook: args.webhook.clone(),
        public_url: args.public_url.clone(),
        folder: args.folder.clone(),
        secret: args.secret.clone().unwrap_or_else(|| secret.to_owned()),
        token: args.token.clone(),
        account_id: args.account_id.clone().unwrap_or_else(|| account_id.to_owned()),
        count: args.count,
        rate: args.rate,
        at_once: args.at_once,
        first_sent: args.first_sent,
        faults: args.faults.clone(),
        seed: args.seed,
    };
    runtime()?.block_on(play(options))?;
    Ok(ExitCode::SUCCESS)
}

async fn play(options: Options) -> io::Result<()> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    simulate::run(options, shutdown, print).await
}

fn print(delivered: &Delivered) {
    let Delivered { message_id, part, account_id, file, attempts } = delivered;
    let line = json!({
        "message_id": message_id, "part": part, "account_id": account_id, "file": file, "attempts": attempts,
    });
    // Whoever reads it may be gone; the media API goes on.
    drop(writeln!(io::stdout().lock(), "{line}"));
}
