//! What a map makes of an event, before a destination makes requests of it.

use serde_json::Value;

use super::file::{By, Missing};
use crate::roles::deliver::call::FileRef;

/// What a map makes of an event. Values are JSON: a destination writes them as its API wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// How the contact is found, in this order; only ways that have a value.
    pub matches: Vec<Match>,
    /// What is done where it is not found.
    pub on_missing: Missing,
    /// Other records that the activity belongs to: object and id.
    pub objects: Vec<(String, String)>,
    /// Fields of the contact. None is null: a null would clear a field.
    pub fields: Vec<(String, Value)>,
    /// Further fields of a contact that is created.
    pub create: Vec<(String, Value)>,
    /// The note, call or comment.
    pub activity: Activity,
    /// Files whose bytes are attached. Links stand in the body.
    pub files: Vec<Attachment>,
    /// Tags.
    pub tags: Vec<String>,
}

/// One way to find the contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// By what.
    pub by: By,
    /// The property that holds our id.
    pub property: String,
    /// The value.
    pub value: String,
}

/// The note, call or comment.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// What it is at the destination.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its time (RFC 3339), where there is one.
    pub time: Option<String>,
    /// Whether the customer sees it.
    pub is_public: bool,
    /// Further fields.
    pub fields: Vec<(String, Value)>,
}

/// A file that is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The role of the asset.
    pub role: String,
    /// The file.
    pub file: FileRef,
    /// SHA-256 of its bytes in hex.
    pub sha256: String,
}
