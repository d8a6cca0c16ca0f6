//! Many files through the real fork server, on all cores: how each ended, and a tally of the ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mediamill::error::Fault;
use mediamill::sandbox::{Ending, Sandbox, SandboxError};
use mediamill::task::{JobSpec, Report};

/// How much later than its limit a job's end may be known: the child's clock rings, the kernel reaps, the worker hears.
pub const LATENESS: Duration = Duration::from_millis(2900);

/// How one file ended.
#[derive(Debug)]
pub struct Trial {
    /// What the file is called.
    pub name: String,
    /// The report or the fault.
    pub result: Result<Report, SandboxError>,
    /// From order to answer.
    pub took: Duration,
    /// What an independent reader says against the outputs.
    pub objections: Vec<String>,
}

impl Trial {
    /// Runs `input` in a fresh scratch directory; `judge` sees the directory before it goes.
    pub fn run(
        sandbox: &Sandbox,
        spec: &JobSpec,
        name: String,
        input: &[u8],
        judge: impl Fn(&Report, &Path) -> Vec<String>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let scratch = super::jail::scratch(input);
        let begun = Instant::now();
        let result = runtime.block_on(sandbox.run(spec, scratch.path(), |_| ()));
        let took = begun.elapsed();
        let objections = result.as_ref().map(|report| judge(report, scratch.path())).unwrap_or_default();
        Self { name, result, took, objections }
    }

    /// Where it belongs in the tally: the action, the code, or the code and the signal.
    pub fn label(&self) -> String {
        match &self.result {
            Ok(report) => format!("{:?}", report.action),
            Err(SandboxError::Ended(ending @ Ending::Crashed { signal })) => {
                format!("{} (signal {signal})", ending.code())
            }
            Err(SandboxError::Ended(ending)) => ending.code().to_string(),
            Err(SandboxError::Answered(fault)) => fault.code().map_or_else(String::new, |code| code.to_string()),
            Err(error) => error.to_string(),
        }
    }

    /// Whether a signal ended it that no limit sends.
    pub fn crashed(&self) -> bool {
        matches!(&self.result, Err(SandboxError::Ended(Ending::Crashed { .. } | Ending::Silent { .. })))
    }

    /// What must not happen, whatever the file: an unproven output, an end beyond the deadline, or an end that says
    /// something of this program rather than of the file.
    pub fn complaints(&self, spec: &JobSpec) -> Vec<String> {
        let mut found: Vec<String> = self.objections.clone();
        if self.took > Duration::from_secs(spec.limits.wall_s) + LATENESS {
            found.push(format!("ended after {:?}", self.took));
        }
        match &self.result {
            Ok(_) | Err(SandboxError::Answered(Fault::Rejected { .. } | Fault::Suspect { .. })) => {}
            Err(SandboxError::Ended(Ending::Forbidden | Ending::ManyFiles | Ending::ManyThreads)) => {
                found.push(self.label());
            }
            Err(SandboxError::Ended(_)) => {}
            Err(error) => found.push(format!("{error:?}")),
        }
        found
    }
}

/// Does `work` to each input, on as many threads as there are CPUs. The results stand in the order of the inputs.
pub fn on_all_cores<I: Send, T: Send>(inputs: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let lanes = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(inputs.into_iter().enumerate());
    let done = Mutex::new(BTreeMap::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some((n, input)) = next() {
                    let result = work(input);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(n, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// How often each end occurred, as lines for people.
pub fn tally<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for trial in trials {
        *counts.entry(trial.label()).or_default() += 1;
    }
    counts.iter().map(|(label, count)| format!("{count:>6}  {label}\n")).collect()
}
