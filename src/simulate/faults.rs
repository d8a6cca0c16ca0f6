//! The faults that a simulated provider can show.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A fault that real providers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The first URL of a file has expired when it is requested: 404.
    Expired,
    /// The file itself is not available at first: 404 twice.
    NotYet,
    /// The media API answers 503 twice for each file.
    Unavailable,
    /// The media API answers that there were too many requests, once for each file.
    Throttled,
    /// The connection ends in the middle of the file, once for each file.
    Cut,
    /// An HTML page with status 200 instead of the file, once for each file.
    Html,
    /// Each webhook is sent twice at the same moment.
    Duplicates,
    /// Webhooks are sent in a different order.
    Reordered,
    /// Webhooks also contain texts and statuses between the messages with files.
    Noise,
}

/// The word of each fault.
const WORDS: [(&str, Fault); 9] = [
    ("expired", Fault::Expired),
    ("not-yet", Fault::NotYet),
    ("unavailable", Fault::Unavailable),
    ("throttled", Fault::Throttled),
    ("cut", Fault::Cut),
    ("html", Fault::Html),
    ("duplicates", Fault::Duplicates),
    ("reordered", Fault::Reordered),
    ("noise", Fault::Noise),
];

/// A set of faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Parses words separated by commas; `all` means every fault.
    ///
    /// # Errors
    /// The possible words, if one is unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(WORDS.iter().map(|(_, fault)| *fault).collect()));
        }
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let faults = words.map(|word| {
            let known: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            let found = WORDS.iter().find(|(known, _)| *known == word).map(|(_, fault)| *fault);
            found.ok_or_else(|| format!("{word:?} is not a fault; possible are {}, or all", known.join(", ")))
        });
        faults.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the set contains this fault.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

/// How often each fault has occurred for each file.
#[derive(Debug, Default)]
pub(super) struct Occurrences(Mutex<HashMap<(Fault, String), u32>>);

impl Occurrences {
    /// Whether the fault occurs now: `times` times for each file, and never again.
    pub(super) fn occurs(&self, fault: Fault, id: &str, times: u32) -> bool {
        let mut occurrences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = occurrences.entry((fault, id.to_owned())).or_default();
        *count += 1;
        *count <= times
    }
}
