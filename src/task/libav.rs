//! The versions and components of the child's libav.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The libav that children use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libav {
    /// Version of each library: `libavcodec` → `59.37.100`.
    pub versions: BTreeMap<String, String>,
    /// The components that the pipeline needs.
    pub components: Vec<Component>,
}

/// One component of libav that the pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `encoder`, `filter`, `demuxer` or `decoder`.
    pub role: String,
    /// Its name in libav; for a decoder, that of the codec.
    pub name: String,
    /// Whether this build of libav has it.
    pub present: bool,
}
