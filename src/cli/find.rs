//! `mediamill find`: searches the index on this machine, without the API.

use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;

use super::{CliError, Format, Global, runtime};
use crate::roles::catalog::index::{Filter, MediaState, Row};
use crate::roles::catalog::{self, api};
use crate::telemetry;

/// Most rows of one command.
const MAX_ROWS: u32 = 10_000;

/// Options of `find`. All conditions together.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Words of file name, caption and transcript, or their beginnings
    text: Option<String>,
    /// Whose media
    #[arg(long)]
    tenant: String,
    /// Keyed hash of a person, a CRM's contact or a conversation
    #[arg(long, value_name = "HASH")]
    contact: Option<String>,
    /// Sent at or after (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Sent before (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// audio, video, image or document
    #[arg(long)]
    kind: Vec<String>,
    /// whatsapp, …
    #[arg(long)]
    channel: Option<String>,
    /// inbound or outbound
    #[arg(long)]
    direction: Option<String>,
    /// Name of the compression profile
    #[arg(long)]
    profile: Option<String>,
    /// A label; several: all of them
    #[arg(long)]
    tag: Vec<String>,
    /// normalized, rejected or failed
    #[arg(long, value_parser = parse_state)]
    state: Option<MediaState>,
    /// Why it was rejected or failed, such as media.empty
    #[arg(long)]
    code: Option<String>,
    /// At most so many, the latest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ROWS)))]
    limit: u32,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn parse_state(text: &str) -> Result<MediaState, String> {
    let known = [MediaState::Normalized, MediaState::Rejected, MediaState::Failed];
    let known = known.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| "is not normalized, rejected or failed".to_owned())
}

/// Prints what is found. Exit code 0, also where nothing is.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let filter = Filter {
        tenant: args.tenant.clone(),
        contact: args.contact.clone(),
        from: args.from,
        to: args.to,
        state: args.state,
        kinds: args.kind.clone(),
        channel: args.channel.clone(),
        direction: args.direction.clone(),
        profile: args.profile.clone(),
        code: args.code.clone(),
        tags: args.tag.clone(),
        any_tag: Vec::new(),
        text: args.text.clone(),
        now: Timestamp::now(),
    };
    let rows = runtime()?.block_on(async {
        let index = catalog::open_index_to_read(&config).await?;
        index.find(&filter, None, args.limit).await.map_err(CliError::Database)
    })?;
    let mut out = io::stdout().lock();
    for row in &rows {
        match args.format {
            Format::Json => writeln!(out, "{}", api::described(row))?,
            Format::Human => human(&mut out, row)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line: what the customer wrote and the file's name come from outside and may hold anything.
fn human(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let plain =
        |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect() };
    let what = row.kind.as_deref().or(row.code.as_deref()).unwrap_or("-");
    let text = row.caption.as_deref().or(row.file_name.as_deref()).map(plain).unwrap_or_default();
    writeln!(out, "{}  {:<10} {:<10} {}  {text}", row.sent_at, row.state.as_str(), plain(what), plain(&row.media_id))
}
