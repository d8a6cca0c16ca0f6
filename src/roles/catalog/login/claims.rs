//! Claims of ID tokens beyond those that every provider knows.

use std::collections::BTreeMap;

use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The other claims by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OtherClaims(BTreeMap<String, Value>);

impl AdditionalClaims for OtherClaims {}

impl OtherClaims {
    /// The texts of a claim that is a text or a list of texts; what is neither gives nothing.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_a_text_or_a_list_of_texts() {
        let texts = |value: Value| {
            let claims: OtherClaims = serde_json::from_value(json!({ "roles": value })).expect("claims");
            claims.texts("roles")
        };
        assert_eq!(texts(json!("agent")), ["agent"]);
        assert_eq!(texts(json!(["agent", "lead"])), ["agent", "lead"]);
        assert_eq!(texts(json!(["agent", 7, null])), ["agent"]);
        assert_eq!(texts(json!({ "agent": true })), [""; 0]);
        assert_eq!(OtherClaims::default().texts("roles"), [""; 0]);
    }
}
