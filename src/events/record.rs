//! Id, time and data of an outcome event. They are kept as JSON, so that a repeated event has exactly the same data.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The lasting part of one outcome event.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<T> {
    event_id: String,
    time: String,
    value: Value,
    /// `data` of the event, as far as this version knows it.
    pub data: T,
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    /// The record of an outcome that is new. `event_id` is the event's id, `time` its time (RFC 3339).
    ///
    /// # Errors
    /// Where `data` does not turn into JSON, which would be a bug.
    pub fn new(event_id: String, time: String, data: T) -> serde_json::Result<Self> {
        Ok(Self { event_id, time, value: serde_json::to_value(&data)?, data })
    }

    /// The record of an outcome whose data was stored, by this version or by another one.
    ///
    /// # Errors
    /// Where this version does not understand the data.
    pub(super) fn stored(event_id: String, time: String, value: Value) -> serde_json::Result<Self> {
        let data = T::deserialize(&value)?;
        Ok(Self { event_id, time, value, data })
    }

    /// The same outcome told under another id, after `edit` has changed its data. Fields that only another version knows
    /// stay as they are.
    ///
    /// # Errors
    /// Where the edited data no longer is of type `T`, which would be a bug.
    pub fn retold(&self, event_id: String, edit: impl FnOnce(&mut Value)) -> serde_json::Result<Self> {
        let mut value = self.value.clone();
        edit(&mut value);
        Self::stored(event_id, self.time.clone(), value)
    }
}

impl<T> Record<T> {
    /// `id` of the event. Every repetition carries the same one, so that consumers can drop it.
    #[must_use]
    pub fn event_id(&self) -> &str {
        &self.event_id
    }

    /// `time` of the event.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }

    /// `data` of the event, word by word.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }
}
