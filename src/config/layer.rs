//! One layer of the configuration: what a file, the environment or flags say, key by key, with the place that says it.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::ConfigErrors;

/// Names that start with [`ENV_PREFIX`] and are no keys: the file itself, and the corpora that tests read.
const OTHER_ENV: [&str; 3] = ["MEDIAMILL_CONFIG", "MEDIAMILL_CORPUS", "MEDIAMILL_HOSTILE"];
const ENV_PREFIX: &str = "MEDIAMILL_";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Default,
    File { name: String, line: usize },
    Env(String),
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default.toml"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--set {key}"),
        }
    }
}

/// One key as one layer sets it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The keys that a file sets.
pub(super) fn from_file(path: &Path, defaults: &Table, errors: &mut ConfigErrors) -> Vec<Setting> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => from_text(&name, &text, defaults, errors),
        Err(error) => {
            errors.push(name, format!("cannot be read: {error}"));
            Vec::new()
        }
    }
}

fn from_text(name: &str, text: &str, defaults: &Table, errors: &mut ConfigErrors) -> Vec<Setting> {
    let at = |offset: usize| Place::File { name: name.to_owned(), line: line_of(text, offset) };
    let (document, syntax) = DeTable::parse_recoverable(text);
    // The parser's own display shows the source line, which may hold a secret: message and line only.
    for error in &syntax {
        errors.push(at(error.span().map_or(0, |span| span.start)), error.message());
    }
    let Ok(values) = text.parse::<Table>() else { return Vec::new() };
    let mut settings = Vec::new();
    for (section, keys) in document.get_ref() {
        let section_name = section.get_ref().as_ref();
        let Some(known) = defaults.get(section_name).and_then(Value::as_table) else {
            errors.push(at(section.span().start), format!("{section_name}: unknown section"));
            continue;
        };
        let Some(keys) = keys.get_ref().as_table() else {
            errors.push(at(section.span().start), format!("{section_name}: is a section, [{section_name}]"));
            continue;
        };
        for key in keys.keys() {
            let key_name = key.get_ref().as_ref();
            let place = at(key.span().start);
            match values.get(section_name).and_then(|section| section.get(key_name)) {
                Some(value) if known.contains_key(key_name) => settings.push(Setting {
                    section: section_name.to_owned(),
                    key: key_name.to_owned(),
                    value: value.clone(),
                    place,
                }),
                _ => errors.push(place, format!("{section_name}.{key_name}: unknown key")),
            }
        }
    }
    settings
}

/// The keys that `MEDIAMILL_<SECTION>_<KEY>` set; other names are none of ours.
pub(super) fn from_env(
    env: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: &Table,
    errors: &mut ConfigErrors,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, text) in env {
        let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else { continue };
        if OTHER_ENV.contains(&name) {
            continue;
        }
        let place = Place::Env(name.to_owned());
        let Some((section, key, default)) = find_env(name, defaults) else {
            errors.push(place, "no such key");
            continue;
        };
        let value = text.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(|text| read_like(text, default));
        match value {
            Ok(value) => settings.push(Setting { section, key, value, place }),
            Err(problem) => errors.push(place, format!("{section}.{key}: {problem}")),
        }
    }
    // The order of the environment is arbitrary; that of messages should not be.
    settings.sort_by(|a, b| (&a.section, &a.key).cmp(&(&b.section, &b.key)));
    settings
}

/// The keys that `--set SECTION.KEY=VALUE` sets.
pub(super) fn from_flags(flags: &[(String, String)], defaults: &Table, errors: &mut ConfigErrors) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (dotted, text) in flags {
        let place = Place::Flag(dotted.clone());
        let default =
            dotted.split_once('.').and_then(|(section, key)| Some((section, key, defaults.get(section)?.get(key)?)));
        let Some((section, key, default)) = default else {
            errors.push(place, "no such key");
            continue;
        };
        match read_like(text, default) {
            Ok(value) => settings.push(Setting { section: section.to_owned(), key: key.to_owned(), value, place }),
            Err(problem) => errors.push(place, problem),
        }
    }
    settings
}

fn find_env<'d>(name: &str, defaults: &'d Table) -> Option<(String, String, &'d Value)> {
    defaults.iter().find_map(|(section, keys)| {
        keys.as_table()?
            .iter()
            .find(|(key, _)| env_name(section, key) == name)
            .map(|(key, default)| (section.clone(), key.clone(), default))
    })
}

/// The environment variable that sets a key.
#[must_use]
pub fn env_name(section: &str, key: &str) -> String {
    format!("{ENV_PREFIX}{}_{}", section.to_uppercase(), key.to_uppercase())
}

/// Reads text as the type that the key's default has. Lists are `a,b`, tables `k=v,k=v`; both may be TOML as well.
fn read_like(text: &str, default: &Value) -> Result<Value, String> {
    match default {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().map(Value::Integer).map_err(|_| "is not an integer".to_owned()),
        Value::Float(_) => text.trim().parse().map(Value::Float).map_err(|_| "is not a number".to_owned()),
        Value::Boolean(_) => text.trim().parse().map(Value::Boolean).map_err(|_| "is not true or false".to_owned()),
        Value::Array(_) if text.trim_start().starts_with('[') => read_toml(text),
        Value::Array(items) => {
            let like = items.first().cloned().unwrap_or_else(|| Value::String(String::new()));
            parts(text).map(|part| read_like(part, &like)).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Table(_) if text.trim_start().starts_with('{') => read_toml(text),
        Value::Table(_) => parts(text)
            .map(|part| match part.split_once('=') {
                Some((key, value)) => Ok((key.trim().to_owned(), Value::String(value.trim().to_owned()))),
                None => Err("is not a list of name=value".to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(Value::Table),
        Value::Datetime(_) => read_toml(text),
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn read_toml(text: &str) -> Result<Value, String> {
    let table: Table = format!("v = {text}").parse().map_err(|_| "is not a TOML value".to_owned())?;
    table.get("v").cloned().ok_or_else(|| "is not a TOML value".to_owned())
}

/// Line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count()
}
