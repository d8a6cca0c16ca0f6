//! Keys as environment variables: `section.key` is `MEDIAMILL_SECTION_KEY`, `section.NAME.key` is
//! `MEDIAMILL_SECTION__NAME__KEY` with `-` of the name as `_`.

use toml::Table;

use super::defaults::{Defaults, Node};

const PREFIX: &str = "MEDIAMILL_";
/// Around the name of a table; no section, name or key has two underscores in a row.
const AROUND_NAME: &str = "__";

/// The environment variable that sets `section.key`.
#[must_use]
pub fn env_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}", section.to_uppercase(), key.to_uppercase())
}

/// The environment variable that sets `section.name.key`.
#[must_use]
pub fn env_name_of_table(section: &str, name: &str, key: &str) -> String {
    let parts = [section, &name.replace('-', "_"), key].map(str::to_uppercase);
    format!("{PREFIX}{}", parts.join(AROUND_NAME))
}

/// Whether a variable is meant as a key. A key has a section and a name of its own: one word after the prefix is never a key
/// (`MEDIAMILL_CONFIG` names the file), unless it begins like a section, which is a spelling mistake.
pub(super) fn may_be_a_key(variable: &str, defaults: &Defaults) -> bool {
    let Some(rest) = variable.strip_prefix(PREFIX) else { return false };
    rest.contains('_') || defaults.sections().keys().any(|section| rest.starts_with(&section.to_uppercase()))
}

/// The path of the key that a variable names, to be looked up by [`Defaults::get`], which also checks names of tables.
pub(super) fn path_of(variable: &str, defaults: &Defaults) -> Option<Vec<String>> {
    defaults.sections().iter().find_map(|(section, keys)| match Node::of(keys) {
        Node::Section(keys) => {
            let key = keys.keys().find(|key| env_name(section, key) == variable)?;
            Some(vec![section.clone(), key.clone()])
        }
        Node::Named(template) => in_named_table(variable, section, template),
        Node::Key(_) => None,
    })
}

fn in_named_table(variable: &str, section: &str, template: &Table) -> Option<Vec<String>> {
    let rest = variable.strip_prefix(PREFIX)?.strip_prefix(&section.to_uppercase())?.strip_prefix(AROUND_NAME)?;
    let (name, _key) = rest.split_once(AROUND_NAME)?;
    let name = name.to_lowercase().replace('_', "-");
    let key = template.keys().find(|key| env_name_of_table(section, &name, key) == variable)?;
    Some(vec![section.to_owned(), name, key.clone()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_and_a_key_lead_to_each_other() {
        let defaults = Defaults::read().expect("TOML");
        let path = |variable: &str| path_of(variable, &defaults).map(|path| path.join("."));
        assert_eq!(env_name("limits", "wall_s"), "MEDIAMILL_LIMITS_WALL_S");
        assert_eq!(path("MEDIAMILL_LIMITS_WALL_S").as_deref(), Some("limits.wall_s"));
        let token = env_name_of_table("channels", "support-br", "app_secret");
        assert_eq!(token, "MEDIAMILL_CHANNELS__SUPPORT_BR__APP_SECRET");
        assert_eq!(path(&token).as_deref(), Some("channels.support-br.app_secret"));
        for wrong in [
            "MEDIAMILL_CHANNELS_SUPPORT_BR_TOKEN",
            "MEDIAMILL_CHANNELS__SUPPORT_BR__TOKN",
            "MEDIAMILL_CHANNELS__support_br__TOKEN",
            "MEDIAMILL_CHANNELS__SUPPORT_BR",
            "MEDIAMILL_LIMITS__WALL_S",
        ] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_word_is_no_key_unless_it_begins_like_one() {
        let defaults = Defaults::read().expect("TOML");
        let may = |variable| may_be_a_key(variable, &defaults);
        assert!(!may("MEDIAMILL_CONFIG") && !may("MEDIAMILL_HOSTILE") && !may("PATH"));
        assert!(may("MEDIAMILL_LIMIT_WALL_S") && may("MEDIAMILL_BROKERURL"));
    }
}
