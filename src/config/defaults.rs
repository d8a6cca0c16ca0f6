//! `default.toml` as a tree: which keys there are, and the default of each.
//!
//! A table whose only key is [`TEMPLATE`] holds named tables: every `[section.NAME]` begins as a copy of the template. An empty
//! table is a value, a map of free keys; any other table is a section.

use toml::{Table, Value};

use super::ConfigErrors;

/// The reference: every key, with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// The name of the table that stands for all named tables of its section.
pub(super) const TEMPLATE: &str = "<name>";
/// The longest name of a table, in bytes: that of a DNS label, since operators name other things after it.
const MAX_NAME_BYTES: usize = 63;
/// What a name must look like, for messages.
pub(super) const NAME_RULE: &str =
    "a name has a-z and 0-9 with single hyphens between them, 63 characters at most, such as support-br";

/// One key of `default.toml`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'d> {
    /// `[section]`
    Section(&'d Table),
    /// `[section.NAME]`: the template of every such table.
    Named(&'d Table),
    /// A key with its default.
    Key(&'d Value),
}

impl<'d> Node<'d> {
    pub(super) fn of(value: &'d Value) -> Self {
        match value.as_table() {
            None => Self::Key(value),
            Some(table) if table.is_empty() => Self::Key(value),
            Some(table) => match (table.len(), table.get(TEMPLATE).and_then(Value::as_table)) {
                (1, Some(template)) => Self::Named(template),
                _ => Self::Section(table),
            },
        }
    }
}

/// All keys with their defaults.
#[derive(Debug)]
pub(super) struct Defaults(Table);

impl Defaults {
    pub(super) fn read() -> Result<Self, ConfigErrors> {
        DEFAULT_TOML.parse().map(Self).map_err(|error: toml::de::Error| {
            let mut errors = ConfigErrors::default();
            errors.push("default.toml", error.message());
            errors
        })
    }

    pub(super) const fn sections(&self) -> &Table {
        &self.0
    }

    /// The configuration without any setting: no named table exists.
    pub(super) fn values(&self) -> Table {
        without_templates(&self.0)
    }

    /// The default of a key, by its path.
    pub(super) fn get<P: AsRef<str>>(&self, path: &[P]) -> Option<&Value> {
        let mut keys = &self.0;
        let mut path = path.iter().map(AsRef::as_ref);
        loop {
            match Node::of(keys.get(path.next()?)?) {
                Node::Section(section) => keys = section,
                Node::Named(template) => keys = path.next().filter(|name| is_name(name)).map(|_name| template)?,
                Node::Key(default) => return path.next().is_none().then_some(default),
            }
        }
    }

    /// Puts a value at its path. A named table that is not there yet begins as its template; `None` as a value only makes it.
    pub(super) fn put(&self, values: &mut Table, path: &[String], value: Option<Value>) {
        let (mut known, mut values) = (&self.0, values);
        let mut path = path.iter().peekable();
        while let Some(key) = path.next() {
            match known.get(key).map(Node::of) {
                Some(Node::Section(section)) => known = section,
                Some(Node::Named(template)) => {
                    let (Some(tables), Some(name)) = (values.get_mut(key).and_then(Value::as_table_mut), path.next())
                    else {
                        return;
                    };
                    let table = tables.entry(name.clone()).or_insert_with(|| without_templates(template).into());
                    let Some(table) = table.as_table_mut() else { return };
                    (known, values) = (template, table);
                    continue;
                }
                Some(Node::Key(_)) => {
                    if let Some(value) = value {
                        values.insert(key.clone(), value);
                    }
                    return;
                }
                None => return,
            }
            let Some(inner) = values.get_mut(key).and_then(Value::as_table_mut) else { return };
            values = inner;
        }
    }
}

fn without_templates(table: &Table) -> Table {
    let value = |value: &Value| match Node::of(value) {
        Node::Section(section) => without_templates(section).into(),
        Node::Named(_) => Table::new().into(),
        Node::Key(default) => default.clone(),
    };
    table.iter().map(|(key, default)| (key.clone(), value(default))).collect()
}

/// Whether a table may be called this: `[a-z0-9]+(-[a-z0-9]+)*`.
pub(super) fn is_name(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= MAX_NAME_BYTES && text.split('-').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_single_hyphens() {
        for name in ["a", "support-br", "7", "a-b-c", &"x".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "A", "a_b", "a.b", "ä", "<name>", &"x".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_named_table_begins_as_its_template() {
        let defaults = Defaults::read().expect("TOML");
        let mut values = defaults.values();
        assert_eq!(values.get("channels"), Some(&Table::new().into()));
        let path = ["channels", "support-br", "tenant"].map(str::to_owned);
        defaults.put(&mut values, &path, Some("acme".into()));
        let table = values["channels"]["support-br"].as_table().expect("a table");
        assert_eq!(table["tenant"].as_str(), Some("acme"));
        let template = defaults.sections()["channels"][TEMPLATE].as_table().expect("a template");
        assert!(table.keys().eq(template.keys()), "{table}");
        assert_eq!(defaults.get(&path), template.get("tenant"));
        assert_eq!(defaults.get(&["channels", "No name", "tenant"]), None);
        assert_eq!(defaults.get(&["channels", "support-br"]), None, "a table is no key");
    }
}
