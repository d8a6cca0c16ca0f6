//! Compares the fields that a map writes with the destination's own description of them.

use serde_json::Value;

/// A field as a destination describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name in the API.
    pub name: String,
    /// Whether it cannot be written.
    pub is_fixed: bool,
    /// What it holds.
    pub holds: Holds,
    /// The longest text, in UTF-16 code units; nothing where none is described.
    pub most: Option<u64>,
    /// The only values; empty where any is taken.
    pub options: Vec<String>,
}

/// What a field holds, as far as it is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Holds {
    /// Anything.
    #[default]
    Any,
    /// A number.
    Number,
    /// True or false.
    Flag,
}

impl Holds {
    /// By the words that vendors have for types.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "number" | "double" | "int" | "integer" | "currency" | "percent" | "long" | "bigint" | "decimal" => {
                Self::Number
            }
            "bool" | "boolean" | "checkbox" => Self::Flag,
            _ => Self::Any,
        }
    }
}

/// What is wrong with the fields of a place in the map, a line each, without their values.
#[must_use]
pub fn compare(place: &str, object: &str, fields: &[(String, Value)], known: &[Field]) -> Vec<String> {
    let one = |(name, value): &(String, Value)| {
        let wrong = known.iter().find(|field| field.name == *name).map_or_else(
            || Some("does not exist, or this user may not see it".to_owned()),
            |field| problem(field, value),
        );
        wrong.map(|wrong| format!("{place}.{name}: of {object}, it {wrong}"))
    };
    fields.iter().filter_map(one).collect()
}

fn problem(field: &Field, value: &Value) -> Option<String> {
    if field.is_fixed {
        return Some("cannot be written".to_owned());
    }
    let texts: Vec<String> = match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let fits = |text: &String| match field.holds {
        Holds::Any => true,
        Holds::Number => text.parse::<f64>().is_ok(),
        Holds::Flag => ["true", "false"].contains(&text.as_str()),
    };
    if !texts.iter().all(fits) {
        let kind = if field.holds == Holds::Number { "a number" } else { "true or false" };
        return Some(format!("holds {kind}, and the value is something else"));
    }
    if !field.options.is_empty() && !texts.iter().all(|text| field.options.contains(text)) {
        return Some(format!("takes only {}", field.options.join(", ")));
    }
    let length = texts.join(";").encode_utf16().count();
    let is_longer = |most: u64| u64::try_from(length).unwrap_or(u64::MAX) > most;
    field
        .most
        .filter(|most| *most > 0 && is_longer(*most))
        .map(|most| format!("takes {most} characters, and the value has {length}"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The texts below `key` of the items of a list, such as the values of a choice.
#[must_use]
pub fn texts(list: Option<&Value>, key: &str) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get(key)?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_is_said_and_no_value_is() {
        let field = |name: &str| Field { name: name.to_owned(), ..Field::default() };
        let known = [
            field("any"),
            Field { is_fixed: true, ..field("fixed") },
            Field { holds: Holds::of("double"), ..field("number") },
            Field { holds: Holds::of("boolean"), ..field("flag") },
            Field { options: vec!["a".to_owned(), "b".to_owned()], ..field("choice") },
            Field { most: Some(3), ..field("short") },
        ];
        let said = |name: &str, value: Value| compare("fields", "Contact", &[(name.to_owned(), value)], &known);
        for (name, value) in [
            ("any", json!("secret")),
            ("number", json!(1.5)),
            ("number", json!("7")),
            ("flag", json!(true)),
            ("choice", json!(["a", "b"])),
            ("short", json!("abc")),
        ] {
            assert_eq!(said(name, value), [""; 0], "{name}");
        }
        for (name, value, words) in [
            ("none", json!("secret"), "does not exist"),
            ("fixed", json!("secret"), "cannot be written"),
            ("number", json!("secret"), "holds a number"),
            ("flag", json!("secret"), "holds true or false"),
            ("choice", json!("secret"), "takes only a, b"),
            ("short", json!("secret"), "takes 3 characters, and the value has 6"),
        ] {
            let said = said(name, value);
            assert!(said.len() == 1 && said[0].contains(words) && !said[0].contains("secret"), "{said:?}");
            assert!(said[0].starts_with(&format!("fields.{name}: of Contact")), "{said:?}");
        }
    }
}
