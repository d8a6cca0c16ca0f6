//! A sandbox around the program under test, and jobs for it.

use std::path::Path;

use mediamill::config::{self, Limits, Profiles, SandboxMode};
use mediamill::sandbox::{Sandbox, SandboxOptions};
use mediamill::task::{INPUT, JobSpec, Task};

/// The sandbox as workers have it by default, with the program under test as fork server.
pub fn options() -> SandboxOptions {
    let limits = config::load(None, [], &[]).expect("the defaults").limits;
    let program = env!("CARGO_BIN_EXE_mediamill").into();
    SandboxOptions { program, ..SandboxOptions::new(SandboxMode::Required, limits) }
}

/// Starts it.
pub fn start(options: SandboxOptions) -> Sandbox {
    Sandbox::start(options).expect("the sandbox starts")
}

/// A job with the default profile and limits that no test reaches by accident.
pub fn spec(task: Task) -> JobSpec {
    let profiles = Profiles::load(Path::new("")).expect("the built-in profiles");
    let limits = Limits {
        input_bytes: 1 << 30,
        pixels: 1 << 26,
        duration_s: 3600,
        streams: 32,
        wall_s: 60,
        cpu_s: 60,
        memory_bytes: 3 << 30,
        output_bytes: 1 << 30,
        scratch_bytes: 4 << 30,
    };
    let profile = profiles.get("crm").expect("the default profile").raw.clone();
    JobSpec { task, profile, limits, threads: 2, nice: 0 }
}

/// A scratch directory with these bytes as input.
pub fn scratch(input: impl AsRef<[u8]>) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    std::fs::write(scratch.path().join(INPUT), input).expect("an input");
    scratch
}
