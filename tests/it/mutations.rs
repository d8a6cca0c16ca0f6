//! Damaged files by the thousand, through the whole child. `make fuzz` runs [`many`]; the tests run a short form.

use std::ops::Range;
use std::path::PathBuf;

use mediamill::config;
use mediamill::sandbox::SandboxOptions;
use mediamill::task::{JobSpec, Task};

use crate::media_codecs;
use crate::support::mutate::{Mutant, mutant};
use crate::support::say::say;
use crate::support::trial::{Trial, on_all_cores, tally};
use crate::support::{cmd, files, jail, judge, stills};

/// How many in the short form, and of which seed.
const FEW: u64 = 150;
const SEED: u64 = 1;
/// A damaged film may decode for long; what it shows by then is enough.
const WALL_S: u64 = 10;
/// Pixels in a picture for the mutants that are to be reduced: a quarter of what the smallest seed has.
const SMALL_PIXELS: u64 = 1500;

#[test]
fn a_hundred_and_fifty_mutants_end_in_a_code_or_in_a_proven_output() {
    // With kinds of pictures that the fixtures do not have.
    let pictures = tempfile::tempdir().expect("a directory");
    let paths = files::below(&cmd::repo_file("fixtures")).into_iter().chain(stills::seeds(&pictures)).collect();
    Fuzz::new(paths).run(SEED, 0..FEW);
}

#[test]
fn a_hundred_and_fifty_mutants_of_the_other_codecs_do_too() {
    let dir = tempfile::tempdir().expect("a directory");
    Fuzz::new(media_codecs::samples(&dir)).run(SEED, 0..FEW);
}

/// `N` mutants of `SEED` from number `FROM` on, of the files below `MEDIAMILL_CORPUS` or else of the fixtures, and of a file
/// for each codec that they lack.
#[test]
#[ignore = "long: `make fuzz` runs it"]
fn many() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(default, |text| text.parse().expect(name))
    };
    let corpus = std::env::var_os("MEDIAMILL_CORPUS").map_or_else(|| cmd::repo_file("fixtures"), PathBuf::from);
    let dir = tempfile::tempdir().expect("a directory");
    let paths =
        files::below(&corpus).into_iter().chain(media_codecs::samples(&dir)).chain(stills::seeds(&dir)).collect();
    let from = number("FROM", 0);
    Fuzz::new(paths).run(number("SEED", SEED), from..from + number("N", 5000));
}

struct Fuzz {
    paths: Vec<PathBuf>,
    sources: Vec<Vec<u8>>,
    spec: JobSpec,
    /// With a limit that the seeds of pictures exceed.
    small: JobSpec,
}

impl Fuzz {
    fn new(paths: Vec<PathBuf>) -> Self {
        let sources = paths.iter().map(|path| std::fs::read(path).expect("readable")).collect();
        let mut spec = jail::spec(Task::Normalize);
        spec.limits = config::Limits { wall_s: WALL_S, ..config::load(None, [], &[]).expect("defaults").limits };
        let mut small = spec.clone();
        small.limits.pixels = SMALL_PIXELS;
        Self { paths, sources, spec, small }
    }

    /// Runs them on all cores, keeps what crashed, says how all ended, and panics where any end is wrong.
    fn run(&self, seed: u64, numbers: Range<u64>) {
        let count = numbers.end - numbers.start;
        // One fork server for all of them: it has to live through every mutant.
        let sandbox = jail::start(SandboxOptions { renew_after_jobs: u64::MAX, ..jail::options() });
        let server = sandbox.server_pid();
        let begun = std::time::Instant::now();
        let trials = on_all_cores(numbers.collect(), |n| {
            let mutant = mutant(&self.sources, seed, n);
            let spec = self.spec_for(n, &mutant);
            let trial = Trial::run(&sandbox, spec, self.name(seed, n, &mutant), &mutant.bytes, judge::playback);
            if trial.crashed() || !trial.complaints(&self.spec).is_empty() {
                keep(&trial, &mutant, &format!("{seed}-{n}"));
            }
            trial
        });
        let totals = sandbox.totals();
        say(format_args!("{count} mutants of {} files, seed {seed}:\n{}", self.sources.len(), tally(&trials)));
        say(format_args!(
            "{:.0?}, {:.0} s of CPU in {} children, the largest {} MiB",
            begun.elapsed(),
            totals.cpu_s,
            totals.children,
            totals.peak_memory_bytes >> 20
        ));
        trials.iter().filter(|t| t.crashed()).for_each(|t| say(format_args!("CRASH {}: {}", t.name, t.label())));

        let wrong = trials.iter().flat_map(|trial| {
            trial.complaints(&self.spec).into_iter().map(|text| format!("{} ({}): {text}", trial.name, trial.label()))
        });
        let wrong: Vec<String> = wrong.collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(sandbox.server_pid(), server, "the fork server died");
        assert_eq!(totals.children, count);
        assert!(totals.peak_memory_bytes < self.spec.limits.memory_bytes);
    }

    /// Every second mutant of a picture is above `limits.pixels`, so that it is reduced while it is decoded.
    fn spec_for(&self, n: u64, mutant: &Mutant) -> &JobSpec {
        let extension = self.paths[mutant.source].extension().and_then(|extension| extension.to_str());
        let is_reduced = matches!(extension, Some("png" | "tif" | "webp" | "heic" | "avif" | "jpg"));
        if is_reduced && n % 2 == 1 { &self.small } else { &self.spec }
    }

    fn name(&self, seed: u64, n: u64, mutant: &Mutant) -> String {
        let source = self.paths[mutant.source].file_name().unwrap_or_default().display();
        format!("{seed}-{n} of {source} [{}]", mutant.recipe)
    }
}

/// Puts the file below `target/fuzz`, with how it came to be and how it ended.
fn keep(trial: &Trial, mutant: &Mutant, number: &str) {
    let folder = cmd::repo_file("target/fuzz");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{number}.bin")), &mutant.bytes).expect("kept");
    std::fs::write(folder.join(format!("{number}.txt")), format!("{trial:#?}\n")).expect("kept");
}
