//! What an operator asks a running deliverer for: a message in a queue of the role, so that it also reaches one that has the
//! ledger to itself, and waits for one that does not run.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::Event;

/// The queue of commands, behind the exchange's name.
pub const QUEUE: &str = "deliver.commands";
const TYPE: &str = "mediamill.deliver.command.v1";

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A stopped destination goes on.
    Resume {
        /// Its name.
        destination: String,
    },
    /// Outcomes are delivered again: what is missing there is made.
    Resend {
        /// The destination.
        destination: String,
        /// Which media.
        which: Which,
    },
}

/// Which media are delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One.
    Media {
        /// Whose it is.
        tenant: String,
        /// Its id.
        media_id: String,
    },
    /// Those of which an event from one second to before another was delivered, in Unix time.
    Between(i64, i64),
}

impl Command {
    /// The destination that it is about.
    #[must_use]
    pub fn destination(&self) -> &str {
        match self {
            Self::Resume { destination } | Self::Resend { destination, .. } => destination,
        }
    }

    /// As an event, with a new id.
    #[must_use]
    pub fn event(&self, source: &str) -> Event {
        let data = match self {
            Self::Resume { destination } => json!({ "command": "resume", "destination": destination }),
            Self::Resend { destination, which: Which::Media { tenant, media_id } } => {
                json!({ "command": "resend", "destination": destination, "tenant": tenant, "media_id": media_id })
            }
            Self::Resend { destination, which: Which::Between(from, to) } => {
                json!({ "command": "resend", "destination": destination, "from_s": from, "to_s": to })
            }
        };
        let (id, source, kind) = (Uuid::new_v4().to_string(), source.to_owned(), TYPE.to_owned());
        Event { id, source, kind, subject: None, time: None, trace: None, data }
    }

    /// Reads an event; nothing where it is no command that this version knows.
    #[must_use]
    pub fn read(event: &Event) -> Option<Self> {
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| event.data.get(key).and_then(Value::as_i64);
        let destination = text("destination").filter(|_| event.kind == TYPE)?;
        match text("command")?.as_str() {
            "resume" => Some(Self::Resume { destination }),
            "resend" => {
                let one = text("tenant").zip(text("media_id"));
                let which = match one {
                    Some((tenant, media_id)) => Which::Media { tenant, media_id },
                    None => Which::Between(number("from_s")?, number("to_s")?),
                };
                Some(Self::Resend { destination, which })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let destination = "crm".to_owned();
        let media = Which::Media { tenant: "acme".to_owned(), media_id: "m1".to_owned() };
        for command in [
            Command::Resume { destination: destination.clone() },
            Command::Resend { destination: destination.clone(), which: media },
            Command::Resend { destination, which: Which::Between(1, 2) },
        ] {
            let event = command.event("mediamill");
            assert_eq!(Command::read(&event), Some(command.clone()));
            assert_eq!(Command::read(&Event { kind: "other".to_owned(), ..event }), None);
        }
    }
}
