//! All errors of a configuration, each with its place (file and line, variable or flag).

use std::fmt;

/// One mistake. No value is ever part of it: a value may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// `mediamill.toml:12`, `MEDIAMILL_LIMITS_WALL_S`, `--set limits.wall_s`, …
    pub place: String,
    /// What is wrong, starting with the key where there is one.
    pub problem: String,
}

/// Every mistake that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn push(&mut self, place: impl fmt::Display, problem: impl Into<String>) {
        self.0.push(ConfigError { place: place.to_string(), problem: problem.into() });
    }

    /// Whether one of the mistakes is about this key.
    pub(super) fn concern(&self, key: &str) -> bool {
        let about = |error: &ConfigError| error.problem.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        self.0.iter().any(about)
    }

    /// `value`, if nothing was wrong.
    pub(super) fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
