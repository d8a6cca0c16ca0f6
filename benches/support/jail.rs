//! A sandbox around the program.

use mediamill::config::{self, SandboxMode};
use mediamill::sandbox::{Launcher, Sandbox, SandboxOptions};

/// The jail as it is in production.
pub(crate) fn sandbox(launcher: Launcher) -> Sandbox {
    let program = env!("CARGO_BIN_EXE_mediamill").into();
    let limits = config::load(None, [], &[]).expect("the defaults").limits;
    let options = SandboxOptions { program, launcher, ..SandboxOptions::new(SandboxMode::Required, limits) };
    Sandbox::start(options).expect("the sandbox starts")
}
