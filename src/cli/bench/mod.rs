//! `mediamill bench`: measures what profiles cost and what quality they keep on a corpus. The work is done by
//! [`crate::profile_lab`].

mod print;
mod progress;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::{StreamExt, stream};

use super::normalize::inputs;
use super::{CliError, EXIT_GATE, Format, Global, runtime, units};
use crate::config::{Config, Profiles};
use crate::profile_lab::compare::compare;
use crate::profile_lab::corpus::Media;
use crate::profile_lab::matrix::{Point, Sweep, points};
use crate::profile_lab::placement::Placement;
use crate::profile_lab::price;
use crate::profile_lab::recommend::{Target, recommend};
use crate::profile_lab::record::{BenchReport, Gates, Prices, Run};
use crate::profile_lab::report::report;
use crate::profile_lab::{Bench, BenchError, Journal, Specimen, csv, gates, machine, page, worst};
use crate::roles::worker::slots;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::telemetry;
use progress::Progress;

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder with the files to measure on, with all its subfolders
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// A profile; may be repeated; all profiles if none is named
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Values of a setting to try; may be repeated for all combinations: --sweep audio.bit_rate=24k,32k
    #[arg(long = "sweep", value_name = "KEY=V,V", value_parser = Sweep::parse)]
    sweeps: Vec<Sweep>,
    /// Folder for report and journal; an interrupted bench is resumed with the same folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Jobs at the same time [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// How often each job is repeated; the median of its times counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Target for recommending a point: quality=0…100 or saved=0…100
    #[arg(long, value_name = "WHAT=N", value_parser = Target::parse)]
    target: Option<Target>,
    /// An older report.json to compare with: prints the changes beyond noise
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// File with limits for the figures; exit code 4 if one is exceeded
    #[arg(long, value_name = "FILE")]
    gates: Option<PathBuf>,
    /// File with the prices of your store and processors: prints what 1,000 media cost
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Everything that is decided before a job runs.
struct Plan {
    points: Vec<Point>,
    old: Option<BenchReport>,
    gates: Gates,
    placement: Placement,
    prices: Option<Prices>,
    corpus: Vec<Media>,
    jobs: u16,
}

/// Measures, writes the report and compares it with limits. Exit codes: 0 done and within the limits, 4 a limit is
/// exceeded.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    telemetry::init(&super::normalize::quiet(&config.log));
    let plan = plan(args, &config, &profiles)?;
    // Before the async runtime: the fork server must be started while there are few threads.
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits))?;
    runtime()?.block_on(async {
        tokio::select! {
            result = measure(args, &config, sandbox, plan) => result,
            // Finished jobs are in the journal.
            _ = tokio::signal::ctrl_c() => Err(CliError::Io(io::Error::new(io::ErrorKind::Interrupted, "interrupted"))),
        }
    })
}

fn plan(args: &Args, config: &Config, profiles: &Profiles) -> Result<Plan, CliError> {
    let chosen: Vec<_> = if args.profiles.is_empty() {
        profiles.iter().collect()
    } else {
        let find = |name: &String| {
            profiles.get(name).ok_or_else(|| CliError::Usage(format!("--profile: there is no profile {name:?}")))
        };
        args.profiles.iter().map(find).collect::<Result<_, _>>()?
    };
    let points = points(&chosen, &args.sweeps)?;
    let old = args.compare.as_deref().map(read_report).transpose()?;
    let gates = args.gates.as_deref().map(|path| read_with(path, gates::parse)).transpose()?.unwrap_or_default();
    let placement = Placement::new(config, &points)?;
    let parse = |text: &str| price::parse(text).and_then(|prices| prices.cover(&placement).map(|()| prices));
    let prices = args.prices.as_deref().map(|path| read_with(path, parse)).transpose()?;
    std::fs::create_dir_all(&args.out).map_err(BenchError::at(&args.out))?;
    let found = inputs::find(std::slice::from_ref(&args.corpus), &args.out)?;
    let read = |input: inputs::Input| Media::read(input.path, units::printable(&input.label));
    let corpus = found.files.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if corpus.is_empty() {
        return Err(CliError::Usage("--corpus: the folder has no files".to_owned()));
    }
    let jobs = args.jobs.unwrap_or_else(|| slots(&config.worker).count());
    Ok(Plan { points, old, gates, placement, prices, corpus, jobs })
}

/// Reads a file of the operator's.
fn read_with<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, CliError> {
    let text = std::fs::read_to_string(path).map_err(BenchError::at(path))?;
    parse(&text).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn read_report(path: &Path) -> Result<BenchReport, CliError> {
    let text = std::fs::read(path).map_err(BenchError::at(path))?;
    serde_json::from_slice(&text).map_err(|error| CliError::Usage(format!("--compare: {}: {error}", path.display())))
}

async fn measure(args: &Args, config: &Config, sandbox: Sandbox, plan: Plan) -> Result<ExitCode, CliError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(cores / usize::from(plan.jobs)).unwrap_or(1).max(1);
    let machine = machine(&sandbox, plan.jobs.into(), threads, args.repeat);
    let bench = Bench::new(sandbox, config.limits, threads);
    let runs = run_all(args, &bench, &plan).await?;
    let report = report(machine, &plan.corpus, runs, &plan.placement, plan.prices.clone());
    write(args, &bench, &plan, &report).await?;

    let moves = plan.old.as_ref().map(|old| compare(old, &report)).unwrap_or_default();
    let broken = gates::broken(&plan.gates, &report, &moves);
    let choices = args.target.map(|target| recommend(&report, target)).unwrap_or_default();
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => serde_json::to_writer(&mut out, &report.summaries).map_err(io::Error::from)?,
        Format::Human => print::summaries(&mut out, &report)?,
    }
    if args.format == Format::Human {
        moves.iter().filter(|moved| moved.beyond_noise).try_for_each(|moved| print::moved(&mut out, moved))?;
        choices.iter().try_for_each(|choice| writeln!(out, "{}: {}", choice.class.as_str(), choice.sentence))?;
    }
    writeln!(out, "{}", units::printable(args.out.join("report.html").as_os_str()))?;
    for sentence in &broken {
        writeln!(io::stderr(), "gate broken: {sentence}")?;
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_GATE) })
}

/// Runs every file with the first point, which shows the class of each file; then all points and repeats for files that
/// can be encoded.
async fn run_all(args: &Args, bench: &Bench, plan: &Plan) -> Result<Vec<Run>, CliError> {
    let mut journal = Journal::open(&args.out.join("runs.jsonl"))?;
    let Plan { points, corpus, .. } = plan;
    let (first, all): (Vec<Task<'_>>, Vec<Task<'_>>) = (0..args.repeat)
        .flat_map(|repeat| corpus.iter().flat_map(move |media| points.iter().map(move |point| (point, media, repeat))))
        .map(|(point, media, repeat)| Task { point, media, repeat })
        .partition(|task| task.repeat == 0 && task.point.label == points[0].label);
    let progress =
        Progress::new(args.format == Format::Human, first.iter().chain(&all).map(|task| task.media.size_bytes));
    let mut runs = run_some(bench, plan.jobs, first, &mut journal, &progress).await?;
    let playable = |media: &Media| runs.iter().any(|run| run.sha256 == media.sha256 && run.class.is_some());
    let (rest, aside): (Vec<_>, Vec<_>) = all.into_iter().partition(|task| playable(task.media));
    aside.iter().for_each(|task| progress.leave(task.media.size_bytes));
    runs.extend(run_some(bench, plan.jobs, rest, &mut journal, &progress).await?);
    progress.finish();
    Ok(runs)
}

#[derive(Clone, Copy)]
struct Task<'a> {
    point: &'a Point,
    media: &'a Media,
    repeat: u32,
}

async fn run_some(
    bench: &Bench,
    jobs: u16,
    tasks: Vec<Task<'_>>,
    journal: &mut Journal,
    progress: &Progress,
) -> Result<Vec<Run>, CliError> {
    let known = |task: &Task<'_>| {
        let Task { point, media, repeat } = task;
        let known = journal.find(&bench.build, &point.profile.version, &media.sha256, *repeat)?;
        // The same settings may have another label, and the same bytes another name.
        Some(Run { point: point.label.clone(), file: media.label.clone(), ..known.clone() })
    };
    let (mut runs, mut left) = (Vec::new(), Vec::new());
    for task in tasks {
        match known(&task) {
            Some(run) => {
                progress.leave(task.media.size_bytes);
                runs.push(run);
            }
            None => left.push(task),
        }
    }
    let work = left.into_iter().map(async |task| {
        let done = bench.run(task.point, task.media, task.repeat, task.repeat == 0).await;
        (task.media.size_bytes, done)
    });
    let mut work = stream::iter(work).buffer_unordered(jobs.into());
    while let Some((size_bytes, done)) = work.next().await {
        let run = done?.run;
        journal.add(&run)?;
        progress.did(size_bytes);
        runs.push(run);
    }
    Ok(runs)
}

async fn write(args: &Args, bench: &Bench, plan: &Plan, report: &BenchReport) -> Result<(), CliError> {
    let file = |name: &str, text: String| {
        let path = args.out.join(name);
        std::fs::write(&path, text).map_err(BenchError::at(&path))
    };
    file("report.json", serde_json::to_string_pretty(report).map_err(io::Error::from)?)?;
    file("report.csv", csv(report))?;
    let media = args.out.join("media");
    std::fs::create_dir_all(&media).map_err(BenchError::at(&media))?;
    let mut specimens = Vec::new();
    for (n, run) in worst(report).into_iter().enumerate() {
        specimens.extend(specimen(bench, plan, &args.out, n, run).await?);
    }
    file("report.html", page(report, &specimens)?)?;
    Ok(())
}

/// Produces a file again, so that people can compare it with its original.
async fn specimen(bench: &Bench, plan: &Plan, out: &Path, n: usize, run: &Run) -> Result<Option<Specimen>, CliError> {
    let point = plan.points.iter().find(|point| point.label == run.point);
    let media = plan.corpus.iter().find(|media| media.sha256 == run.sha256);
    let Some((point, media)) = point.zip(media) else { return Ok(None) };
    let done = bench.run(point, media, run.repeat, false).await?;
    let Some(playback) = done.playback else { return Ok(None) };
    let keep = |from: &Path, name: &str| {
        let url = format!("media/{n}-{name}");
        std::fs::copy(from, out.join(&url)).map(|_| url).map_err(BenchError::at(from))
    };
    let extension = media.path.extension().and_then(|extension| extension.to_str());
    let extension = extension.filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric())).unwrap_or("bin");
    let picture = ["thumbnail.jpg", "waveform.png"].into_iter().find(|name| done.scratch.path().join(name).exists());
    Ok(Some(Specimen {
        run: run.clone(),
        original: keep(&media.path, &format!("original.{extension}"))?,
        playback: keep(&done.scratch.path().join(&playback.file), &playback.object)?,
        picture: picture.map(|name| keep(&done.scratch.path().join(name), name)).transpose()?,
    }))
}
