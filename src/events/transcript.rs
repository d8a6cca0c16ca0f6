//! `mediamill.media.transcribed.v1`: what is said in a media, from whichever engine wrote it down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data of a *media transcribed* event. A later one of the same media takes the place of an earlier one.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transcribed {
    /// Whose media it is.
    pub tenant: String,
    /// The media.
    pub media_id: String,
    /// All that is said. Never logged.
    pub text: String,
    /// Language (BCP 47), where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What is said when, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Name and version of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}

/// A part of a transcript.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// From the beginning of the media, in ms.
    pub start_ms: u64,
    /// From the beginning of the media, in ms.
    pub end_ms: u64,
    /// What is said.
    pub text: String,
    /// Who says it: a label of the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

impl std::fmt::Debug for Transcribed {
    /// Without a word of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tenant, media_id, segments, .. } = self;
        let (tenant, media_id, segments) = (tenant, media_id, segments.len());
        f.debug_struct("Transcribed")
            .field("tenant", tenant)
            .field("media_id", media_id)
            .field("segments", &segments)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start_ms, end_ms, .. } = self;
        f.debug_struct("Segment").field("start_ms", start_ms).field("end_ms", end_ms).finish_non_exhaustive()
    }
}
