//! `mediamill normalize`: runs the worker's pipeline on files of this machine, without a broker or an object store.

mod bars;
mod gallery;
pub(super) mod inputs;
mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CliError, EXIT_FAILED, EXIT_REJECTED, Format, Global, runtime, units};
use crate::config::{Config, Log, LogFormat, Profiles};
use crate::events::{Declared, Origin, Received};
use crate::roles::worker::{Job, Outcome, Parts, Pipeline, Workspace, slots};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry;
use bars::Bars;
use inputs::{Input, Inputs};

/// The first part of every key below `--out`.
const TENANT: &str = "local";

/// Options of `normalize`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, and folders with all their subfolders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Folder for the results; created if missing, results with the same names are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Compression profile (see `mediamill profiles`)
    #[arg(long)]
    profile: Option<String>,
    /// Files at the same time [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A file and its outcome.
struct FinishedFile {
    input: Input,
    outcome: Outcome,
}

/// Processes every file. Exit codes: 0 all normalized, 3 some rejected, 1 something failed.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    if let Some(name) = args.profile.as_deref().filter(|name| profiles.get(name).is_none()) {
        let known: Vec<_> = profiles.iter().map(|profile| profile.raw.name.as_str()).collect();
        return Err(CliError::Usage(format!(
            "--profile: there is no profile {name:?}; known are {}",
            known.join(", ")
        )));
    }
    telemetry::init(&quiet(&config.log));
    std::fs::create_dir_all(&args.out).map_err(at(&args.out))?;
    let inputs = inputs::find(&args.paths, &args.out)?;
    if inputs.files.is_empty() && inputs.skipped.is_empty() {
        return Err(CliError::Usage("the named paths contain no files".to_owned()));
    }
    // Before the async runtime: the fork server must be started while there are few threads.
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits))?;
    runtime()?.block_on(async {
        tokio::select! {
            result = normalize(args, &config, profiles, sandbox, inputs) => result,
            // Dropping the future kills running children and removes their scratch directories.
            _ = tokio::signal::ctrl_c() => Err(CliError::Io(io::Error::new(io::ErrorKind::Interrupted, "interrupted"))),
        }
    })
}

async fn normalize(
    args: &Args,
    config: &Config,
    profiles: Profiles,
    sandbox: Sandbox,
    inputs: Inputs,
) -> Result<ExitCode, CliError> {
    let started = Instant::now();
    let jobs = args.jobs.unwrap_or_else(|| slots(&config.worker).count());
    let store = Store::local(&args.out);
    let sources = Sources::new(config, &store)?;
    let workspace = Workspace::open(&config.worker.scratch_dir, (&config.worker).into())?;
    let pipeline = Pipeline::new(config, Parts { sources, store, sandbox, profiles, workspace }, jobs.into());
    let bars = Bars::new(inputs.files.len(), args.format == Format::Human);
    let work =
        inputs.files.into_iter().enumerate().map(async |(n, input)| (n, one(&pipeline, args, &bars, input).await));
    let mut work = stream::iter(work).buffer_unordered(jobs.into());
    let mut done = Vec::new();
    while let Some((n, one)) = work.next().await {
        if args.format == Format::Json {
            writeln!(io::stdout().lock(), "{}", as_json(&one))?;
        }
        done.push((n, one));
    }
    drop(work);
    bars.finish();
    done.sort_by_key(|(n, _)| *n);
    let done: Vec<FinishedFile> = done.into_iter().map(|(_, done)| done).collect();
    let page = args.out.join("index.html");
    std::fs::write(&page, gallery::page(&done)).map_err(at(&page))?;
    if args.format == Format::Human {
        let mut out = io::stdout().lock();
        table::write(&mut out, &done, started.elapsed())?;
        writeln!(out, "{}", units::printable(page.as_os_str()))?;
    }
    for (path, why) in &inputs.skipped {
        writeln!(io::stderr(), "skipped: {}: {why}", units::printable(path.as_os_str()))?;
    }
    Ok(ExitCode::from(exit_code(&done, !inputs.skipped.is_empty())))
}

async fn one(pipeline: &Pipeline, args: &Args, bars: &Bars, input: Input) -> FinishedFile {
    let bar = bars.start(&units::printable(&input.label));
    let outcome = pipeline.run_at_once(&job(args, &input), |fraction| bar.set(fraction)).await;
    FinishedFile { input, outcome }
}

fn job(args: &Args, input: &Input) -> Job {
    let declared = Declared {
        // Used to reserve scratch space.
        size_bytes: std::fs::metadata(&input.path).ok().map(|meta| meta.len()),
        file_name: input.path.file_name().map(|name| name.to_string_lossy().into_owned()),
        ..Declared::default()
    };
    let received = Received {
        tenant: TENANT.to_owned(),
        media_id: input.id.clone(),
        origin: Origin::File { path: input.path.to_string_lossy().into_owned() },
        declared: Some(declared),
        profile: args.profile.clone(),
        renormalize: false,
        message: None,
        privacy: None,
        tags: Vec::new(),
        context: None,
    };
    let job = Job::new(Uuid::now_v7().to_string(), None, received, 0);
    // Results of an earlier run may be of another file with this name, or of another profile.
    Job { local: Some(input.path.clone()), again: true, ..job }
}

/// The outcome event's data, together with the file and the kind of outcome.
fn as_json(done: &FinishedFile) -> Value {
    let mut line = json!({ "input": done.input.path.to_string_lossy(), "outcome": done.outcome.as_str() });
    if let (Some(line), Value::Object(data)) = (line.as_object_mut(), done.outcome.event("", None).data) {
        line.extend(data);
    }
    line
}

fn exit_code(done: &[FinishedFile], skipped: bool) -> u8 {
    let any = |wanted: fn(&Outcome) -> bool| done.iter().any(|done| wanted(&done.outcome));
    if skipped || any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        EXIT_FAILED
    } else if any(|outcome| matches!(outcome, Outcome::Rejected(_))) {
        EXIT_REJECTED
    } else {
        0
    }
}

/// The log settings for people: only warnings between progress bars, unless another filter was set.
pub(super) fn quiet(log: &Log) -> Log {
    let filter = if log.filter == "info" { "warn".to_owned() } else { log.filter.clone() };
    Log { filter, format: LogFormat::Text }
}

/// Adds the path to an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    move |error| CliError::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
