//! A map as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The events that add to a note.
pub(super) const AMENDMENTS: [&str; 3] = ["transcribed", "edited", "revoked"];

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which events it is for.
    pub(super) outcomes: Vec<String>,
    /// Only events for which this expression is true.
    #[serde(default)]
    pub(super) when: String,
    /// What is done where no record matches.
    #[serde(default)]
    pub(super) on_missing: Missing,
    /// How the contact is found: in this order.
    #[serde(default, rename = "match")]
    pub(super) matches: Vec<Match>,
    /// Other records that the activity belongs to: name of the object, and an expression that gives its id.
    #[serde(default)]
    pub(super) objects: BTreeMap<String, String>,
    /// Fields of the contact: name, and an expression.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, String>,
    /// Further fields of a contact that is created.
    #[serde(default)]
    pub(super) create: BTreeMap<String, String>,
    /// The note, call or comment.
    pub(super) activity: Activity,
    /// Files of the media.
    #[serde(default)]
    pub(super) attach: Vec<Attach>,
    /// What later events add to the note: a template for each of the words of [`AMENDMENTS`].
    #[serde(default)]
    pub(super) amend: BTreeMap<String, String>,
    /// An expression that gives a list of tags.
    #[serde(default)]
    pub(super) tags: String,
}

/// What is done where no record matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The event is dead-lettered for an operator.
    #[default]
    Park,
    /// The contact is created.
    Create,
    /// Nothing is delivered.
    Skip,
}

/// One way to find the contact.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Match {
    pub(super) by: By,
    /// The property that holds our id, where it is found by one.
    #[serde(default)]
    pub(super) property: String,
    /// An expression. Null goes on to the next way.
    pub(super) value: String,
}

/// By what a contact is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The destination's own id.
    Id,
    /// A property that holds an id of ours.
    ExternalId,
    /// A phone number, compared in E.164.
    Phone,
    /// An address of electronic mail.
    Email,
}

/// The note, call or comment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activity {
    /// What it is at the destination, such as `note`.
    pub(super) kind: String,
    /// A template.
    #[serde(default)]
    pub(super) title: String,
    /// A template.
    pub(super) body: String,
    /// Whether the body is HTML: then values in it are escaped.
    #[serde(default)]
    pub(super) format: Format,
    /// An expression that gives its time (RFC 3339).
    #[serde(default)]
    pub(super) time: String,
    /// Whether the customer sees it.
    #[serde(default)]
    pub(super) public: bool,
    /// Further fields of it: name, and an expression.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, String>,
}

/// How the body is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Values are escaped.
    #[default]
    Html,
    /// As it is.
    Text,
}

/// Files of the media.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attach {
    /// The first of these roles that the media has: `playback`, `rendition`, `thumbnail`, `waveform`, `original`.
    pub(super) roles: Vec<String>,
    /// How.
    #[serde(rename = "as")]
    pub(super) how: How,
    /// A file that is larger is attached as `then` says; nothing is 16777216.
    #[serde(default)]
    pub(super) max_bytes: Option<u64>,
    /// How, where it is too large.
    #[serde(default)]
    pub(super) then: How,
}

/// How a file is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its bytes.
    File,
    /// A link in the body, by the template's `links`.
    #[default]
    Link,
    /// Not at all.
    None,
}
