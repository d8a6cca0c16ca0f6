//! `mediamill probe`: prints the facts of a file, and with `--plan` what a worker would make of it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{CliError, EXIT_FAILED, EXIT_REJECTED, Format, Global, describe, runtime, units};
use crate::config::{Config, Limits, LoadedProfile};
use crate::error::{Code, Fault};
use crate::events::{Action, Kind};
use crate::roles::worker::Workspace;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::source::Sources;
use crate::store::Store;
use crate::task::{INPUT, JobSpec, Report, Task};
use crate::telemetry;

/// Options of `probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Say what would be made of it, too, and why; nothing is made
    #[arg(long)]
    plan: bool,
    /// Compression profile of the plan (see `mediamill profiles`)
    #[arg(long, requires = "plan")]
    profile: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Probes. Exit codes: 0 it would be normalized, 3 it would be rejected, 1 it cannot be said.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    telemetry::init(&config.log);
    let name = args.profile.as_deref().unwrap_or(&config.worker.profile);
    let profile =
        profiles.get(name).ok_or_else(|| CliError::Usage(format!("--profile: there is no profile {name:?}")))?;
    let usage = |what: &str| CliError::Usage(format!("{}: {what}", units::printable(args.path.as_os_str())));
    let meta = std::fs::metadata(&args.path).map_err(|error| usage(&error.to_string()))?;
    if !meta.is_file() {
        return Err(usage("is not a file"));
    }
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits))?;
    match runtime()?.block_on(probe(args, &config, profile, &sandbox))? {
        Ok(report) => {
            match args.format {
                Format::Json => writeln!(io::stdout().lock(), "{}", as_json(args, profile, &report))?,
                Format::Human => write(&mut io::stdout().lock(), args, profile, &report)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => fail(args, &fault),
    }
}

/// Facts from a jailed child, as a job has them.
async fn probe(
    args: &Args,
    config: &Config,
    profile: &LoadedProfile,
    sandbox: &Sandbox,
) -> Result<Result<Report, Fault>, CliError> {
    let workspace = Workspace::open(&config.worker.scratch_dir, (&config.worker).into())?;
    let size_bytes = std::fs::metadata(&args.path)?.len();
    let limits: Limits = config.limits;
    let scratch = workspace.claim(size_bytes.min(limits.input_bytes))?;
    // Nothing is stored: a source has a store only for the bucket that it is allowed to read.
    let sources = Sources::new(config, &Store::local(scratch.path()))?;
    if let Err(error) = sources.fetch_local(&args.path, limits.input_bytes, &scratch.path().join(INPUT)).await {
        return Ok(Err(error.into()));
    }
    let spec = JobSpec { task: Task::Probe, profile: profile.raw.clone(), limits, threads: 1, nice: 0 };
    Ok(sandbox.run(&spec, scratch.path(), |_| ()).await.map_err(Fault::from))
}

fn fail(args: &Args, fault: &Fault) -> Result<ExitCode, CliError> {
    // A suspect file would be tried once more; here the first word counts.
    let rejected = matches!(fault, Fault::Rejected { .. } | Fault::Suspect { .. });
    let outcome = if rejected { "rejected" } else { "failed" };
    match args.format {
        Format::Json => {
            let code = fault.code().map(Code::as_str);
            let input = args.path.to_string_lossy();
            let line = json!({ "input": input, "outcome": outcome, "code": code, "explanation": fault.message() });
            writeln!(io::stdout().lock(), "{line}")?;
        }
        Format::Human => {
            writeln!(io::stdout().lock(), "{}\n  {outcome}: {fault}", units::printable(args.path.as_os_str()))?;
        }
    }
    Ok(ExitCode::from(if rejected { EXIT_REJECTED } else { EXIT_FAILED }))
}

/// The names are those of `original` and `decision` in a normalized event.
fn as_json(args: &Args, profile: &LoadedProfile, report: &Report) -> Value {
    let mut line = json!({
        "input": args.path.to_string_lossy(),
        "kind": report.kind,
        "mime_type": report.mime_type,
        "container": report.container,
        "duration_ms": report.duration_ms,
        "streams": report.streams,
        "created_at": report.created_at,
        "damage": report.damage,
    });
    if args.plan {
        line["decision"] = json!({
            "action": report.action,
            "reasons": report.reasons,
            "profile": profile.raw.name,
            "profile_version": profile.version,
        });
    }
    line
}

fn write(out: &mut impl Write, args: &Args, profile: &LoadedProfile, report: &Report) -> io::Result<()> {
    writeln!(out, "{}", units::printable(args.path.as_os_str()))?;
    let mut line = |name: &str, text: &str| writeln!(out, "  {name:<10} {text}");
    line("kind", report.kind.as_str())?;
    line("type", &format!("{} ({})", report.mime_type, report.container))?;
    if let Some(ms) = report.duration_ms {
        line("duration", &format!("{} ({ms} ms)", units::clock(ms)))?;
    }
    if let Some(at) = &report.created_at {
        line("recorded", at)?;
    }
    for stream in &report.streams {
        let text = format!("{} ({})", describe::stream(stream), describe::stream_details(stream));
        line(&format!("stream {}", stream.index), &text)?;
    }
    if !args.plan {
        return Ok(());
    }
    writeln!(out, "with profile {} ({})", profile.raw.name, profile.version)?;
    writeln!(out, "  {:<10} {}: {}", "action", report.action.as_str(), meaning(report.kind, report.action))?;
    for reason in &report.reasons {
        let (place, verdict, why) = describe::reason(reason);
        writeln!(out, "  {place:<10} {verdict}, {why}")?;
    }
    Ok(())
}

const fn meaning(kind: Kind, action: Action) -> &'static str {
    match (action, kind) {
        (Action::Copied, _) => "the file itself is the playback asset",
        (Action::Remuxed, Kind::Audio) => "its streams would be kept, in an MP3 written anew",
        (Action::Remuxed, _) => "its streams would be kept, in an MP4 written anew",
        (Action::Encoded, Kind::Audio) => "an MP3 would be made, unless that is larger",
        (Action::Encoded, _) => "an MP4 would be made, unless that is larger",
        (Action::KeptOriginal, _) => "no playback asset, the original is what people open",
    }
}
