//! The command-line arguments of the processes that the worker starts. The program's help does not show them.

use crate::task::{Limits, SandboxMode};

/// How child processes are created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Launcher {
    /// By forking the initialised fork server.
    #[default]
    Fork,
    /// By forking and then executing the program again, which loads libav for each job. For comparison only.
    ReExec,
}

impl Launcher {
    pub(in crate::sandbox) const fn word(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::ReExec => "re-exec",
        }
    }
}

/// Environment variable of a fork server: the loader binds every symbol at the start. A child that bound a symbol later
/// would search libraries that are not mapped in it any more.
pub(in crate::sandbox) const BIND_NOW: (&str, &str) = ("LD_BIND_NOW", "1");

/// The arguments of a process of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Start {
    pub(in crate::sandbox) role: Role,
    pub(in crate::sandbox) mode: SandboxMode,
    pub(in crate::sandbox) launcher: Launcher,
    pub(in crate::sandbox) escape_probes: bool,
    /// The configured limits, which the test child is put under.
    pub(in crate::sandbox) limits: Limits,
    /// Process id of the process that started this one.
    pub(in crate::sandbox) parent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Role {
    ForkServer,
    JobChild,
}

/// The arguments of [`Start`] in their order.
type Words = [String; 6];

impl Start {
    /// The arguments behind the program's name.
    pub(in crate::sandbox) fn words(&self) -> Words {
        let probes = if self.escape_probes { "probes" } else { "-" };
        // Serializing numbers with names does not fail.
        let limits = serde_json::to_string(&self.limits).unwrap_or_default();
        [self.role.word(), mode_word(self.mode), self.launcher.word(), probes, &limits, &self.parent.to_string()]
            .map(ToOwned::to_owned)
    }

    /// `None` for an ordinary start of the program. `Some(None)` if the first argument is one of the sandbox's but the
    /// rest is invalid.
    pub(in crate::sandbox) fn parse(words: impl Iterator<Item = std::ffi::OsString>) -> Option<Option<Self>> {
        let mut words = words.map(|word| word.to_string_lossy().into_owned());
        let first = words.next()?;
        let role = [Role::ForkServer, Role::JobChild].into_iter().find(|role| role.word() == first)?;
        let rest: Vec<String> = words.collect();
        Some(Self::parse_rest(role, &rest))
    }

    fn parse_rest(role: Role, rest: &[String]) -> Option<Self> {
        let [mode, launcher, probes, limits, parent] = rest else { return None };
        let modes = [SandboxMode::Required, SandboxMode::BestEffort, SandboxMode::Off];
        Some(Self {
            role,
            mode: modes.into_iter().find(|known| mode_word(*known) == mode)?,
            launcher: [Launcher::Fork, Launcher::ReExec].into_iter().find(|known| known.word() == launcher)?,
            escape_probes: probes == "probes",
            limits: serde_json::from_str(limits).ok()?,
            parent: parent.parse().ok()?,
        })
    }
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::ForkServer => "fork-server",
            Self::JobChild => "job-child",
        }
    }
}

/// The mode's word in configuration, command line and events.
pub(in crate::sandbox) const fn mode_word(mode: SandboxMode) -> &'static str {
    match mode {
        SandboxMode::Required => "required",
        SandboxMode::BestEffort => "best-effort",
        SandboxMode::Off => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parsed_as_they_were_written_and_ordinary_starts_are_left_alone() {
        let start = Start {
            role: Role::ForkServer,
            mode: SandboxMode::BestEffort,
            launcher: Launcher::ReExec,
            escape_probes: false,
            limits: crate::config::load(None, [], &[]).expect("the defaults").limits,
            parent: 42,
        };
        assert_eq!(Start::parse(start.words().map(Into::into).into_iter()), Some(Some(start)));
        assert_eq!(Start::parse(["worker".into()].into_iter()), None);
        assert_eq!(Start::parse(["fork-server".into()].into_iter()), Some(None));
    }
}
