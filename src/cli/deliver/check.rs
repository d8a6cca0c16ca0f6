//! `mediamill deliver check` and `setup`: what would be sent, and what there must be before.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::super::{CliError, EXIT_REJECTED, Global, runtime};
use super::of_setup;
use crate::config::Config;
use crate::events::{Event, Headers, STRUCTURED};
use crate::links::Links;
use crate::roles::deliver::destination::{Failed, Ids};
use crate::roles::deliver::map::{Map, builtin};
use crate::roles::deliver::site::Site;
use crate::roles::deliver::subject::Subject;
use crate::roles::deliver::{self};

/// The name of a destination that is not configured, for `--kind`.
const TRIAL: &str = "check";

/// Options of `deliver check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a destination, a table below deliver; none: the only one, or one of --kind
    name: Option<String>,
    /// The kind of a destination that is not configured yet, such as hubspot
    #[arg(long, conflicts_with = "name")]
    kind: Option<String>,
    /// The map to try instead of the destination's own
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The event, as JSON
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Ask the destination, too, whether it would take requests, and whether it has the fields that the map writes
    #[arg(long)]
    live: bool,
}

/// Options of `deliver setup`.
#[derive(Debug, clap::Args)]
pub(super) struct SetupArgs {
    /// Name of the destination, a table below deliver
    name: String,
    /// Print what there must be at the destination; nothing is ever created there by this program
    #[arg(long, required_unless_present = "map")]
    print: bool,
    /// Print the built-in map of its kind, to be copied and changed
    #[arg(long)]
    map: bool,
}

/// Prints the requests. Exit code 3 where the event cannot be delivered as it is.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = match &args.kind {
        None => global.load()?,
        Some(kind) => global.with(&trial(kind)).load()?,
    };
    let mut site = pick(&config, args.name.as_deref(), args.kind.is_some())?;
    if let Some(path) = &args.map {
        let map = Map::open(path, &site.config.region).map_err(|error| CliError::Usage(error.to_string()))?;
        site.map = Some(map);
    }
    let bytes = std::fs::read(&args.event)?;
    let event = Event::decode_outcome(Some(STRUCTURED), &Headers::new(), &bytes);
    let event = event.map_err(|error| CliError::Usage(format!("{}: {error}", args.event.display())))?;
    let subject = Subject::of(&event).ok_or_else(|| {
        CliError::Usage("the event is of a type that is not delivered, or has no tenant and media_id".to_owned())
    })?;
    let mut out = io::stdout().lock();
    match show(&site, &event, &subject, Links::new(&config.links).as_ref()) {
        Ok(text) => write!(out, "{text}")?,
        Err(failed) => {
            writeln!(out, "not delivered: {failed}")?;
            return Ok(ExitCode::from(EXIT_REJECTED));
        }
    }
    if args.live {
        match runtime()?.block_on(live(&site, &event, &subject)) {
            Ok((text, true)) => write!(out, "{text}")?,
            Ok((text, false)) => {
                write!(out, "{text}")?;
                return Ok(ExitCode::from(EXIT_REJECTED));
            }
            Err(failed) => {
                writeln!(out, "{}: {failed}", site.name)?;
                return Ok(ExitCode::from(EXIT_REJECTED));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the destination itself says, and whether that is good.
async fn live(site: &Site, event: &Event, subject: &Subject) -> Result<(String, bool), Failed> {
    site.destination.check().await?;
    let answers = format!("{} answers, and takes the credential\n", site.name);
    let work = site.work(event, subject, None)?;
    let Some(prepared) = work.and_then(|work| work.prepared) else { return Ok((answers, true)) };
    Ok(match site.destination.compare(&prepared).await? {
        None => (answers, true),
        Some(wrong) if wrong.is_empty() => {
            (format!("{answers}its own description knows every field that the map writes\n"), true)
        }
        Some(wrong) => (format!("{answers}{}\n", wrong.join("\n")), false),
    })
}

/// Every step with its requests.
fn show(site: &Site, event: &Event, subject: &Subject, links: Option<&Links>) -> Result<String, Failed> {
    let outcomes = site.outcomes();
    if !outcomes.contains(&subject.word) || !site.wants(subject) {
        return Ok(format!("{} does not take this event: nothing is sent\n", site.name));
    }
    if let Some(amendment) = site.amendment(event, subject, links)? {
        return Ok(format!("added to the media's note:\n\n{}\n", amendment.text));
    }
    let Some(work) = site.work(event, subject, links)? else {
        return Ok("the map's when is not true for this event: nothing is sent\n".to_owned());
    };
    let version = site.map.as_ref().map(|map| format!(", map {}", map.version())).unwrap_or_default();
    let mut text = format!("destination {}{version}\n", site.name);
    for (n, step) in site.destination.plan(&work)?.iter().enumerate() {
        text.push_str(&format!("\n# {}. {} {}\n", n + 1, step.name, step.record));
        for call in site.destination.requests(step, &work, &Ids::shown())? {
            text.push_str(&call.show());
        }
    }
    Ok(text)
}

/// Prints what there must be.
pub(super) fn setup(args: &SetupArgs, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    let site = pick(&config, Some(&args.name), false)?;
    let mut out = io::stdout().lock();
    if args.map {
        let text = builtin(site.config.kind);
        let text = text.ok_or_else(|| CliError::Usage("this kind of destination has no map".to_owned()))?;
        write!(out, "{text}")?;
    } else {
        write!(out, "{}", site.destination.setup())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn pick(config: &Config, name: Option<&str>, is_trial: bool) -> Result<Site, CliError> {
    let mut sites = deliver::sites(config, None, None).map_err(of_setup)?;
    let wanted = if is_trial { Some(TRIAL) } else { name };
    let place = match wanted {
        Some(name) => sites.iter().position(|site| site.name == name),
        None if sites.len() == 1 => Some(0),
        None => return Err(CliError::Usage("there are several destinations: name one".to_owned())),
    };
    let place = place
        .ok_or_else(|| CliError::Usage(format!("there is no destination deliver.{}", wanted.unwrap_or_default())))?;
    Ok(sites.swap_remove(place))
}

impl Global {
    /// With further keys, over all others.
    fn with(&self, settings: &[(String, String)]) -> Self {
        Self { set: self.set.iter().chain(settings).cloned().collect(), ..self.clone() }
    }
}

/// Settings of a destination that is tried without being configured: what a kind cannot be without.
fn trial(kind: &str) -> Vec<(String, String)> {
    let set = |key: &str, value: &str| (format!("deliver.{TRIAL}.{key}"), value.to_owned());
    let mut settings = vec![set("kind", kind)];
    match kind {
        "webhook" => {
            settings.push(set("url", "https://receiver.example/"));
            settings.push(set("signing_key", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        }
        _ => settings.extend([set("token", "token"), set("account", "1")]),
    }
    settings
}
