//! What the child's libav is and has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What libav is and has where the children run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libav {
    /// Version of each library: `libavcodec` → `59.37.100`.
    pub versions: BTreeMap<String, String>,
    /// What the pipeline asks for.
    pub components: Vec<Component>,
}

/// One part of libav that the pipeline asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `encoder`, `filter`, `demuxer` or `decoder`.
    pub role: String,
    /// libav's name; a decoder goes by its codec's.
    pub name: String,
    /// Whether this build has it.
    pub present: bool,
}
