//! What people ask for: consent, erasing, holds. It has no database: everything it knows is below `.catalog/` of the store.
//!
//! `role` takes the events, `act` does what they say, `conduct` takes an erasure from its beginning to its certificate, and `sweep`
//! removes what is overdue and what nobody names.

mod act;
mod conduct;
mod role;
mod sweep;

pub use conduct::{Conduct, ConductError};
pub use role::{Asked, PrivacyRole, QUEUE, SetupError, service};
pub use sweep::{Swept, sweep};
