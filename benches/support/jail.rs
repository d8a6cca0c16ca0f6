//! A sandbox around the program.

use mediamill::config::SandboxMode;
use mediamill::sandbox::{Launcher, Sandbox, SandboxOptions};

/// The jail as it is in production.
pub(crate) fn sandbox(launcher: Launcher) -> Sandbox {
    let program = env!("CARGO_BIN_EXE_mediamill").into();
    let options = SandboxOptions { program, launcher, ..SandboxOptions::new(SandboxMode::Required) };
    Sandbox::start(options).expect("the sandbox starts")
}
