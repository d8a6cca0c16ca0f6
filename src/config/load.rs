//! Layers merged, typed and checked: `default.toml` < file < environment < flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::layer::{self, Place, Setting};
use super::{Config, ConfigErrors, check};

/// The reference: every key, with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Reads the configuration.
///
/// `env` is the whole environment (names outside `MEDIAMILL_…` are passed over), `flags` are `section.key` with the value
/// as text.
///
/// # Errors
/// Every mistake of every layer, with its file and line, variable or flag. Values are not repeated: they may be secrets.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[(String, String)],
) -> Result<Config, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let defaults = defaults()?;
    let settings = settings(file, env, flags, &defaults, &mut errors);

    let mut merged = defaults.clone();
    let mut places = Places::default();
    for setting in settings {
        match typed(&defaults, &setting) {
            Ok(()) => apply(&mut merged, &mut places, setting),
            Err(problem) => errors.push(&setting.place, format!("{}.{}: {problem}", setting.section, setting.key)),
        }
    }
    match Config::deserialize(Value::Table(merged)) {
        Ok(config) => {
            check::check(&config, &places, &mut errors);
            errors.or_ok(config)
        }
        Err(error) => {
            errors.push(Place::Default, error.message());
            Err(errors)
        }
    }
}

/// `http.listen` alone, whatever is wrong with other keys.
///
/// # Errors
/// Where that one key is wrong.
pub fn listen(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[(String, String)],
) -> Result<String, ConfigErrors> {
    let defaults = defaults()?;
    let settings = settings(file, env, flags, &defaults, &mut ConfigErrors::default());
    let last = settings.into_iter().rfind(|setting| (&*setting.section, &*setting.key) == ("http", "listen"));
    let value = match &last {
        Some(setting) => Some(&setting.value),
        None => defaults.get("http").and_then(|http| http.get("listen")),
    };
    value.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        let mut errors = ConfigErrors::default();
        let place = last.map_or(Place::Default, |setting| setting.place);
        errors.push(place, "http.listen: is no text");
        errors
    })
}

/// What each layer sets, in order: later wins.
fn settings(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[(String, String)],
    defaults: &Table,
    errors: &mut ConfigErrors,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(path) = file {
        settings.extend(layer::from_file(path, defaults, errors));
    }
    settings.extend(layer::from_env(env, defaults, errors));
    settings.extend(layer::from_flags(flags, defaults, errors));
    settings
}

/// Where each key that is not at its default was set.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    pub(super) fn of(&self, dotted: &str) -> Place {
        self.0.get(dotted).cloned().unwrap_or(Place::Default)
    }
}

fn defaults() -> Result<Table, ConfigErrors> {
    DEFAULT_TOML.parse().map_err(|error: toml::de::Error| {
        let mut errors = ConfigErrors::default();
        errors.push(Place::Default, error.message());
        errors
    })
}

/// Tries one key alone over the defaults, so that a wrong type is reported where it stands and hides no other mistake.
fn typed(defaults: &Table, setting: &Setting) -> Result<(), String> {
    let mut trial = defaults.clone();
    let Some(slot) = trial.get_mut(&setting.section).and_then(|section| section.get_mut(&setting.key)) else {
        return Err("unknown key".to_owned());
    };
    if !slot.same_type(&setting.value) {
        return Err(format!("is {}, not {}", article(&setting.value), article(slot)));
    }
    *slot = setting.value.clone();
    match Config::deserialize(Value::Table(trial)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.message().lines().next().unwrap_or("has the wrong type").to_owned()),
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn apply(merged: &mut Table, places: &mut Places, setting: Setting) {
    places.0.insert(format!("{}.{}", setting.section, setting.key), setting.place);
    if let Some(slot) = merged.get_mut(&setting.section).and_then(|section| section.get_mut(&setting.key)) {
        *slot = setting.value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mediamill.toml");
        std::fs::write(&path, text).expect("a file");
        (dir, path)
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        let config = load(None, env(&[("PATH", "/bin")]), &[]).expect("valid");
        assert_eq!(config.limits.wall_s, 600);
        assert_eq!(config.broker.retry_delays_s, [10, 60, 600]);
    }

    #[test]
    fn later_layers_win() {
        let (_dir, path) = file("[limits]\nwall_s = 10\ncpu_s = 11\nstreams = 12\n");
        let env = env(&[("MEDIAMILL_LIMITS_CPU_S", "21"), ("MEDIAMILL_LIMITS_STREAMS", "22")]);
        let config = load(Some(&path), env, &flags(&[("limits.streams", "32")])).expect("valid");
        assert_eq!((config.limits.wall_s, config.limits.cpu_s, config.limits.streams), (10, 21, 32));
    }

    #[test]
    fn the_environment_is_typed_by_the_default() {
        let config = load(
            None,
            env(&[
                ("MEDIAMILL_BROKER_RETRY_DELAYS_S", "1, 2,3"),
                ("MEDIAMILL_SOURCE_HTTP_ALLOW_HOSTS", "[\"a.example\", \"b.example:81\"]"),
                ("MEDIAMILL_SOURCE_FILE_ROOTS", "/a,/b c"),
                ("MEDIAMILL_STORE_PATH_STYLE", "true"),
                ("MEDIAMILL_STORE_TAGS", "team=crm, cost=a=b"),
                ("MEDIAMILL_SANDBOX_MODE", "best-effort"),
            ]),
            &[],
        )
        .expect("valid");
        assert_eq!(config.broker.retry_delays_s, [1, 2, 3]);
        assert_eq!(config.source.http_allow_hosts, ["a.example", "b.example:81"]);
        assert_eq!(config.source.file_roots.len(), 2);
        assert!(config.store.path_style);
        assert_eq!(config.store.tags["cost"], "a=b");
        assert_eq!(config.sandbox.mode, crate::config::SandboxMode::BestEffort);
    }

    #[test]
    fn all_mistakes_are_reported_at_once_each_with_its_place() {
        let (_dir, path) =
            file("[limits]\nwall_s = \"long\"\nwidth = 3\n\n[brokr]\nurl = \"x\"\n[sandbox]\nmode = \"of\"\n");
        let env = env(&[("MEDIAMILL_LIMIT_WALL_S", "1"), ("MEDIAMILL_LIMITS_CPU_S", "-1")]);
        let text = load(Some(&path), env, &flags(&[("x", "y")])).expect_err("wrong").to_string();
        for expected in [
            "mediamill.toml:2: limits.wall_s: is a string, not an integer",
            "mediamill.toml:3: limits.width: unknown key",
            "mediamill.toml:5: brokr: unknown section",
            "mediamill.toml:8: sandbox.mode: unknown variant",
            "MEDIAMILL_LIMIT_WALL_S: no such key",
            "MEDIAMILL_LIMITS_CPU_S: limits.cpu_s:",
            "--set x: no such key",
        ] {
            assert!(text.contains(expected), "{expected} is not in:\n{text}");
        }
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    #[test]
    fn secrets_are_never_shown() {
        let env = env(&[
            ("MEDIAMILL_BROKER_URL", "http://u:hunter2@host"),
            ("MEDIAMILL_STORE_SECRET_ACCESS_KEY", "hunter2"),
            ("MEDIAMILL_LIMITS_WALL_S", "0"),
        ]);
        let error = load(None, env, &[]).expect_err("not an AMQP URL");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let (_dir, path) = file("[broker]\nurl = \"amqp://u:hunter2@h\n");
        let error = load(Some(&path), [], &[]).expect_err("no closing quote");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(error.to_string().contains("mediamill.toml:2: "), "{error}");
        let config = load(None, [], &flags(&[("store.access_key_id", "a"), ("store.secret_access_key", "hunter2")]));
        let config = config.expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).expect("JSON").contains("hunter2"));
    }

    #[test]
    fn a_syntax_error_and_a_missing_file_name_their_place() {
        let (_dir, path) = file("[limits]\nwall_s = = 3\n");
        let text = load(Some(&path), [], &[]).expect_err("wrong").to_string();
        assert!(text.contains("mediamill.toml:2: "), "{text}");
        let text = load(Some(Path::new("missing.toml")), [], &[]).expect_err("wrong").to_string();
        assert!(text.contains("missing.toml: cannot be read"), "{text}");
    }
}
