//! Files that were made, or found, to break readers of media: all below `MEDIAMILL_HOSTILE`, read in place.

use std::path::PathBuf;

use mediamill::config;
use mediamill::task::Task;

use crate::support::say::{say, skipped};
use crate::support::trial::{Trial, on_all_cores, tally};
use crate::support::{files, jail, judge};

/// Tighter than the default of ten minutes, so that the bombs among the files are met by it within the test's time.
const WALL_S: u64 = 15;

#[test]
fn hostile_files_end_in_a_code_or_in_a_proven_output() {
    let Some(folder) = std::env::var_os("MEDIAMILL_HOSTILE").map(PathBuf::from) else {
        return skipped("MEDIAMILL_HOSTILE does not name the folder of hostile files");
    };
    let files = files::below(&folder);
    assert!(files.len() > 100, "{} files below {}", files.len(), folder.display());

    let sandbox = jail::start(jail::options());
    let server = sandbox.server_pid();
    let mut spec = jail::spec(Task::Normalize);
    spec.limits = config::Limits { wall_s: WALL_S, ..config::load(None, [], &[]).expect("defaults").limits };
    let trials = on_all_cores(files, |path| {
        let name = path.strip_prefix(&folder).expect("below it").display().to_string();
        let input = std::fs::read(&path).expect("readable");
        Trial::run(&sandbox, &spec, name, &input, judge::objections)
    });

    let totals = sandbox.totals();
    let slowest = trials.iter().max_by_key(|trial| trial.took).expect("a file");
    say(format_args!("{} hostile files:\n{}", trials.len(), tally(&trials)));
    say(format_args!("{:.1} s of CPU in {} children", totals.cpu_s, totals.children));
    say(format_args!("largest child {} MiB", totals.peak_memory_bytes >> 20));
    say(format_args!("slowest {:?}: {}, {}", slowest.took, slowest.name, slowest.label()));
    for crash in trials.iter().filter(|trial| trial.crashed()) {
        say(format_args!("CRASH {}: {}", crash.name, crash.label()));
    }

    let complaints = trials.iter().flat_map(|trial| {
        let about = |text| format!("{} ({}): {text}", trial.name, trial.label());
        trial.complaints(&spec).into_iter().map(about)
    });
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(sandbox.server_pid(), server, "the fork server died");
    assert!(totals.peak_memory_bytes < spec.limits.memory_bytes);
}
