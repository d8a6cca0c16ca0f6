//! An event as structured mode writes it.

use serde::Serialize;

/// The attributes, in this order.
#[derive(Serialize)]
pub(super) struct Structured<'a, D> {
    pub(super) specversion: &'static str,
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracestate: Option<&'a str>,
    pub(super) datacontenttype: &'static str,
    pub(super) data: &'a D,
}

impl<D: Serialize> Structured<'_, D> {
    /// Its JSON. Text and JSON values can always be written.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("an event that cannot be written as JSON"))
    }
}
