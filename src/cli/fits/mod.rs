//! `mediamill fits`: checks whether a channel or a CRM accepts files, by lists of what is known about each.

mod rules;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use self::rules::{Fit, Rule};
use super::{CliError, EXIT_REJECTED, Format, Global, runtime, units};
use crate::config::{Config, LoadedProfile};
use crate::error::Fault;
use crate::roles::worker::Workspace;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::source::Sources;
use crate::store::Store;
use crate::task::{INPUT, JobSpec, Report, Task};
use crate::telemetry;

/// Options of `fits`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Destinations, separated by commas: whatsapp, salesforce, salesforce-channel, hubspot, zoho, zendesk, zapier, make, n8n
    #[arg(long = "for", value_name = "NAMES", value_delimiter = ',', required = true)]
    destinations: Vec<String>,
    /// Files, and folders with all their subfolders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Compares files with the lists. Exit codes: 0 all files fit all destinations, 3 some do not.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let rules = rules::rules(&args.destinations).map_err(CliError::Usage)?;
    let (config, profiles) = global.load_with_profiles()?;
    telemetry::init(&config.log);
    let name = &config.worker.profile;
    let profile = profiles.get(name).ok_or_else(|| CliError::Usage(format!("there is no profile {name:?}")))?;
    let mut files = Vec::new();
    for path in &args.paths {
        find(path, &mut files)?;
    }
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits))?;
    let runtime = runtime()?;
    let mut all = true;
    let mut unverified = Vec::new();
    for path in &files {
        let size_bytes = std::fs::metadata(path)?.len();
        let report = runtime.block_on(probe(path, size_bytes, &config, profile, &sandbox))?;
        for destination in &args.destinations {
            let fit = match &report {
                Ok(report) => rules::fit(destination, &rules, report, size_bytes),
                Err(fault) => Fit::No(None, fault.to_string()),
            };
            all &= matches!(fit, Fit::Yes(..));
            if let Fit::Yes(rule, _) | Fit::No(Some(rule), _) = &fit
                && !rule.verified
                && !unverified.contains(&rule.name)
            {
                unverified.push(rule.name.clone());
            }
            print(args.format, path, destination, &fit)?;
        }
    }
    if args.format == Format::Human && !unverified.is_empty() {
        writeln!(io::stdout().lock(), "not verified with the vendor: {}", unverified.join(", "))?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(EXIT_REJECTED) })
}

/// All files below a path, ordered by name.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let wrong = |error: io::Error| CliError::Usage(format!("{}: {error}", units::printable(path.as_os_str())));
    if !std::fs::metadata(path).map_err(wrong)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(wrong)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    // Symbolic links are not followed: a folder may contain a link to itself.
    paths.iter().filter(|path| !path.is_symlink()).try_for_each(|path| find(path, files))
}

/// Probes the file in a jailed child.
async fn probe(
    path: &Path,
    size_bytes: u64,
    config: &Config,
    profile: &LoadedProfile,
    sandbox: &Sandbox,
) -> Result<Result<Report, Fault>, CliError> {
    let workspace = Workspace::open(&config.worker.scratch_dir, (&config.worker).into())?;
    let limits = config.limits;
    let scratch = workspace.claim(size_bytes.min(limits.input_bytes))?;
    let sources = Sources::new(config, &Store::local(scratch.path()))?;
    if let Err(error) = sources.fetch_local(path, limits.input_bytes, &scratch.path().join(INPUT)).await {
        return Ok(Err(error.into()));
    }
    let spec = JobSpec { task: Task::Probe, profile: profile.raw.clone(), limits, threads: 1, nice: 0 };
    Ok(sandbox.run(&spec, scratch.path(), |_| ()).await.map_err(Fault::from))
}

fn print(format: Format, path: &Path, destination: &str, fit: &Fit) -> io::Result<()> {
    let (fits, rule, detail) = match fit {
        Fit::Yes(rule, worse) => (true, Some(rule), worse.clone()),
        Fit::No(rule, why) => (false, rule.as_ref(), Some(why.clone())),
    };
    let mut out = io::stdout().lock();
    if format == Format::Json {
        let line = json!({
            "input": path.to_string_lossy(),
            "for": destination,
            "fits": fits,
            "rule": rule.map(|rule| rule.name.as_str()),
            "verified": rule.map(|rule| rule.verified),
            "mime_type": rule.and_then(|rule| rule.mime_type.as_deref()),
            "detail": detail,
        });
        return writeln!(out, "{line}");
    }
    let name = |rule: &Rule| if rule.verified { rule.name.clone() } else { format!("{} (unverified)", rule.name) };
    let parts = [rule.map(name), detail].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let word = if fits { "fits" } else { "does not fit" };
    writeln!(out, "{}  {destination}  {word}  {parts}", units::printable(path.as_os_str()))
}
