//! What people ask for: consent, erasing, holds. It has no database: everything it knows is below `.catalog/` of the store.
//!
//! `role` takes the events, `act` does what they say, `conduct` takes an erasure from its beginning to its certificate, and `sweep`
//! removes what is overdue and what nobody names. `export` makes a copy of what is held of a person.
//! `purge` has a content delivery network forget what was erased, and `letters` throws away the dead letters of it.

mod act;
mod conduct;
mod export;
mod letters;
mod purge;
mod role;
mod sweep;

pub use conduct::{Conduct, ConductError};
pub use export::{ExportError, export};
pub use role::{Asked, PrivacyRole, QUEUE, SetupError, queues, service};
pub use sweep::{Swept, sweep};
