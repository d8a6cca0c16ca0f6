//! Layers merged, typed and checked: `default.toml` < file < environment < flags.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::defaults::Defaults;
use super::layer::{self, Place, Places, Setting};
use super::{Config, ConfigErrors, check};
use crate::secrets::Secret;

/// Secrets that are of use together only: where one of them cannot be read or used, none of them is replaced.
const PAIR: [&str; 2] = ["store.access_key_id", "store.secret_access_key"];

/// Reads the configuration.
///
/// `env` is the whole environment (names outside `MEDIAMILL_…` are passed over, and looked up where a secret is `env:NAME`),
/// `flags` are `section.key` or `section.name.key` with the value as text.
///
/// # Errors
/// Every mistake of every layer, with its file and line, variable or flag. Values are not repeated: they may be secrets.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[(String, String)],
) -> Result<Config, ConfigErrors> {
    let env: Vec<_> = env.into_iter().collect();
    let mut errors = ConfigErrors::default();
    let (config, places) = merge(file, &env, flags, &mut errors)?;
    resolve(&config, &places, &env, &mut errors);
    check::check(&config, &places, &mut errors);
    errors.or_ok(config)
}

/// What became of the secrets when the configuration was read again, and the rest of it.
#[derive(Debug)]
pub struct Reloaded {
    /// The configuration as it would be after a restart, or what is wrong with it.
    pub config: Result<Config, ConfigErrors>,
    /// Keys of the secrets that have a new value now.
    pub changed: Vec<String>,
    /// Keys of the secrets that could not be read and have their old value.
    pub kept: Vec<String>,
}

/// Reads the configuration again while `running` is in use, and gives each secret of it the value that is there now. A secret
/// whose new value cannot be read or used keeps the old one, and so does the other secret of its pair; where the file as a
/// whole is wrong, every secret does.
pub fn reload(
    running: &Config,
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[(String, String)],
) -> Reloaded {
    let env: Vec<_> = env.into_iter().collect();
    let mut errors = ConfigErrors::default();
    let (config, places) = match merge(file, &env, flags, &mut errors) {
        Ok(merged) if errors.0.is_empty() => merged,
        result => {
            let errors = result.map_or_else(|errors| errors, |_merged| errors);
            let kept = running.secrets().into_iter().map(|(key, _secret)| key).collect();
            return Reloaded { config: Err(errors), changed: Vec::new(), kept };
        }
    };
    resolve(&config, &places, &env, &mut errors);
    check::check(&config, &places, &mut errors);
    let theirs = config.secrets();
    let new = |key: &str| theirs.iter().find(|(their_key, _)| their_key == key).map(|(_, secret)| *secret);
    let known = running.secrets().into_iter().filter_map(|(key, secret)| Some((new(&key)?, secret, key)));
    let pair_is_wrong = PAIR.iter().any(|key| errors.concern(key));
    let is_wrong = |key: &str| errors.concern(key) || pair_is_wrong && PAIR.contains(&key);
    let (bad, good): (Vec<_>, Vec<_>) = known.partition(|(_, _, key)| is_wrong(key));
    let pairs: Vec<(&Secret, &Secret)> = good.iter().map(|(new, secret, _)| (*secret, *new)).collect();
    let adopted = Secret::adopt_all(&pairs);
    let changed = good.iter().zip(adopted).filter(|(_, changed)| *changed).map(|((_, _, key), _)| key.clone());
    let (changed, kept) = (changed.collect(), bad.into_iter().map(|(_, _, key)| key).collect());
    Reloaded { config: errors.or_ok(config), changed, kept }
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
    const KEY: [&str; 2] = ["http", "listen"];
    let defaults = Defaults::read()?;
    let env: Vec<_> = env.into_iter().collect();
    let settings = settings(file, &env, flags, &defaults, &mut ConfigErrors::default());
    let last = settings.into_iter().rfind(|setting| setting.path == KEY);
    let value = match &last {
        Some(setting) => setting.value.as_ref(),
        None => defaults.get(&KEY),
    };
    value.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        let mut errors = ConfigErrors::default();
        let place = last.map_or(Place::Default, |setting| setting.place);
        errors.push(place, "http.listen: is no text");
        errors
    })
}

/// All layers as one configuration, without the mistakes, which are added to `errors`; and where each key was set.
fn merge(
    file: Option<&Path>,
    env: &[(OsString, OsString)],
    flags: &[(String, String)],
    errors: &mut ConfigErrors,
) -> Result<(Config, Places), ConfigErrors> {
    let defaults = Defaults::read()?;
    let mut merged = defaults.values();
    let mut places = Places::default();
    for setting in settings(file, env, flags, &defaults, errors) {
        let dotted = setting.dotted();
        match typed(&defaults, &setting) {
            Ok(()) => {
                defaults.put(&mut merged, &setting.path, setting.value);
                if let [section, name, _key] = &*setting.path {
                    places.set_first(format!("{section}.{name}"), &setting.place);
                }
                places.set(dotted, setting.place);
            }
            Err(problem) => errors.push(&setting.place, format!("{dotted}: {problem}")),
        }
    }
    match Config::deserialize(Value::Table(merged)) {
        Ok(config) => Ok((config, places)),
        Err(error) => {
            errors.push(Place::Default, error.message());
            Err(std::mem::take(errors))
        }
    }
}

/// What each layer sets, in order: later wins.
fn settings(
    file: Option<&Path>,
    env: &[(OsString, OsString)],
    flags: &[(String, String)],
    defaults: &Defaults,
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

/// Reads the secrets that are references.
fn resolve(config: &Config, places: &Places, env: &[(OsString, OsString)], errors: &mut ConfigErrors) {
    let variable = |name: &str| env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    for (key, secret) in config.secrets() {
        if let Err(error) = secret.resolve(variable) {
            errors.push(places.of(&key), format!("{key}: {error}"));
        }
    }
}

/// Tries one key alone over the defaults, so that a wrong type is reported where it stands and hides no other mistake.
fn typed(defaults: &Defaults, setting: &Setting) -> Result<(), String> {
    let Some(value) = &setting.value else { return Ok(()) };
    let default = defaults.get(&setting.path).ok_or_else(|| "unknown key".to_owned())?;
    if !default.same_type(value) {
        return Err(format!("is {}, not {}", article(value), article(default)));
    }
    let mut trial: Table = defaults.values();
    defaults.put(&mut trial, &setting.path, Some(value.clone()));
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

#[cfg(test)]
mod tests;
