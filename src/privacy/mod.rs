//! What may be stored of whom, for how long, and how it is deleted for certain.
//!
//! All that is kept for this are objects below `.catalog/` of the store, so that it survives the loss of any database, and
//! workers, which have none, go by it:
//!
//! | key below `.catalog/` | what it is |
//! |---|---|
//! | `contacts/<tenant>/<hash>.json` | a [`Record`] of a person, under each identifier that the person is known by |
//! | `conversations/<tenant>/<hash>.json` | a [`Record`] of a conversation |
//! | `media/<tenant>/<media_id>.json` | a [`Record`] of a media: its tombstone, its holds |
//! | `erasures/<number>.json` | an [`Erasure`] that was begun |
//! | `certificates/<tenant>/<number>.json` | the [`Certificate`] of one that is done |
//! | `certificates/<tenant>/<number>/<name>.<what>.json` | what a destination still has, joined with the certificate |
//! | `audit/<n>.json`, `audit/checkpoint` | the audit log |
//!
//! Identifiers stand there as keyed hashes only ([`ContactKey`]). Records are joined and never overwritten: of two writers at
//! the same time neither loses what the other one wrote.

#[cfg(feature = "catalog")]
pub mod audit;
mod contact;
mod erase;
mod find;
mod guard;
mod policy;
mod record;
mod records;
mod refusal;
pub mod residue;
mod selector;
#[cfg(feature = "catalog")]
mod subject;
mod tombstone;

pub use contact::{ContactHash, ContactKey, IdKind, Sender};
pub use erase::{CarriedOut, Eraser};
pub use find::{Find, Found, Scan};
pub use guard::Guard;
pub use policy::{Permit, Policy, TenantPolicy, Terms};
pub use record::{
    Certificate, Decision, Erasure, ErasureMark, HoldState, PlannedMedia, Record, RefusedMedia, Retention,
};
pub use records::{Place, Records};
pub use refusal::Refusal;
pub use selector::{Request, Selector, SelectorError};
#[cfg(feature = "catalog")]
pub use subject::{Subject, SubjectIndex, SubjectMedia, SubjectObject, subject, within};
pub use tombstone::{Wiped, wipe};
