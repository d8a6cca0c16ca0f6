//! One layer of the configuration: the keys that a file, the environment or flags set, each with its place (file and line,
//! variable, flag).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::ConfigErrors;
use super::defaults::{Defaults, NAME_RULE, Node, is_name};
use super::env;

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

/// Where each key that is not at its default was set.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    pub(super) fn set(&mut self, dotted: String, place: Place) {
        self.0.insert(dotted, place);
    }

    /// Where a named table begins, unless that is known.
    pub(super) fn set_first(&mut self, dotted: String, place: &Place) {
        self.0.entry(dotted).or_insert_with(|| place.clone());
    }

    /// The place of a key. A key that is not set in a named table has the place where the table begins.
    pub(super) fn of(&self, dotted: &str) -> Place {
        let mut dotted = dotted;
        loop {
            if let Some(place) = self.0.get(dotted) {
                return place.clone();
            }
            match dotted.rsplit_once('.') {
                Some((outer, _key)) => dotted = outer,
                None => return Place::Default,
            }
        }
    }
}

/// One key as one layer sets it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// Section and key, or section, name and key.
    pub(super) path: Vec<String>,
    /// `None`: a named table is there, whatever is in it.
    pub(super) value: Option<Value>,
    pub(super) place: Place,
}

impl Setting {
    pub(super) fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// The keys that a file sets.
pub(super) fn from_file(path: &Path, defaults: &Defaults, errors: &mut ConfigErrors) -> Vec<Setting> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => from_text(&name, &text, defaults, errors),
        Err(error) => {
            errors.push(name, format!("cannot be read: {error}"));
            Vec::new()
        }
    }
}

fn from_text(name: &str, text: &str, defaults: &Defaults, errors: &mut ConfigErrors) -> Vec<Setting> {
    let at = |offset: usize| Place::File { name: name.to_owned(), line: line_of(text, offset) };
    let (document, syntax) = DeTable::parse_recoverable(text);
    // The parser's own display shows the source line, which may hold a secret: message and line only.
    for error in &syntax {
        errors.push(at(error.span().map_or(0, |span| span.start)), error.message());
    }
    let Ok(values) = text.parse::<Table>() else { return Vec::new() };
    let mut settings = Vec::new();
    let mut reader = Reader { at: &at, settings: &mut settings, errors };
    reader.section(&[], document.get_ref(), &values, defaults.sections());
    settings
}

/// Reads a file's tables beside those of the defaults. `keys` know their lines, `values` are the same without.
struct Reader<'a> {
    at: &'a dyn Fn(usize) -> Place,
    settings: &'a mut Vec<Setting>,
    errors: &'a mut ConfigErrors,
}

impl Reader<'_> {
    fn section(&mut self, path: &[String], keys: &DeTable<'_>, values: &Table, known: &Table) {
        for (key, value) in keys {
            let name = key.get_ref().as_ref();
            let place = (self.at)(key.span().start);
            let path = [path, &[name.to_owned()]].concat();
            let dotted = path.join(".");
            let inner = (value.get_ref().as_table(), values.get(name).and_then(Value::as_table));
            match (known.get(name).map(Node::of), inner) {
                (Some(Node::Section(known)), (Some(keys), Some(values))) => self.section(&path, keys, values, known),
                (Some(Node::Named(template)), (Some(tables), Some(values))) => {
                    self.named(&path, tables, values, template);
                }
                (Some(Node::Section(_)), _) => self.errors.push(place, format!("{dotted}: is a section, [{dotted}]")),
                (Some(Node::Named(_)), _) => {
                    self.errors.push(place, format!("{dotted}: holds tables with names, [{dotted}.NAME]"));
                }
                (Some(Node::Key(_)), _) => {
                    self.settings.push(Setting { path, value: values.get(name).cloned(), place });
                }
                (None, _) if path.len() == 1 => self.errors.push(place, format!("{dotted}: unknown section")),
                (None, _) => self.errors.push(place, format!("{dotted}: unknown key")),
            }
        }
    }

    fn named(&mut self, path: &[String], tables: &DeTable<'_>, values: &Table, template: &Table) {
        for (key, table) in tables {
            let name = key.get_ref().as_ref();
            let place = (self.at)(key.span().start);
            let path = [path, &[name.to_owned()]].concat();
            let dotted = path.join(".");
            if !is_name(name) {
                self.errors.push(place, format!("{dotted}: {NAME_RULE}"));
                continue;
            }
            let (Some(keys), Some(values)) = (table.get_ref().as_table(), values.get(name).and_then(Value::as_table))
            else {
                self.errors.push(place, format!("{dotted}: is a table, [{dotted}]"));
                continue;
            };
            self.settings.push(Setting { path: path.clone(), value: None, place });
            self.section(&path, keys, values, template);
        }
    }
}

/// The keys that variables set; names that do not begin with `MEDIAMILL_` are none of ours.
pub(super) fn from_env(
    variables: &[(OsString, OsString)],
    defaults: &Defaults,
    errors: &mut ConfigErrors,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| env::may_be_a_key(name, defaults)) else { continue };
        let place = Place::Env(name.to_owned());
        let path = env::path_of(name, defaults).unwrap_or_default();
        let Some(default) = defaults.get(&path) else {
            errors.push(place, "no such key");
            continue;
        };
        let value = text.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(|text| read_like(text, default));
        match value {
            Ok(value) => settings.push(Setting { path, value: Some(value), place }),
            Err(problem) => errors.push(place, format!("{}: {problem}", path.join("."))),
        }
    }
    // The order of the environment is arbitrary; that of messages should not be.
    settings.sort_by(|a, b| a.path.cmp(&b.path));
    settings
}

/// The keys that `--set SECTION.KEY=VALUE` and `--set SECTION.NAME.KEY=VALUE` set.
pub(super) fn from_flags(flags: &[(String, String)], defaults: &Defaults, errors: &mut ConfigErrors) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (dotted, text) in flags {
        let place = Place::Flag(dotted.clone());
        let path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
        let Some(default) = defaults.get(&path) else {
            errors.push(place, "no such key");
            continue;
        };
        match read_like(text, default) {
            Ok(value) => settings.push(Setting { path, value: Some(value), place }),
            Err(problem) => errors.push(place, problem),
        }
    }
    settings
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
