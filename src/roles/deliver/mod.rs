//! The way out: outcomes go on to webhooks and CRMs, each exactly once as far as the other side lets that be known.
//!
//! `role` takes events from one queue for each destination; `engine` delivers one of them, step by step, with the `ledger`; a
//! [`Destination`] knows one kind of receiver. What becomes of an event at a CRM is a [`map`](map::Map).

mod alert;
mod amend;
pub mod amendment;
pub mod api;
mod build;
pub mod call;
pub mod chatwoot;
pub mod codes;
pub mod command;
pub mod described;
pub mod destination;
mod engine;
pub mod gate;
pub mod hubspot;
mod inner;
pub mod ledger;
pub mod map;
mod marker;
mod metrics;
mod multipart;
mod resend;
mod role;
pub mod salesforce;
pub mod site;
pub mod subject;
pub mod tokens;
pub mod webhook;
pub mod zendesk;
pub mod zoho;

pub use build::{Deliverer, SetupError, service, sites, topology};
pub use destination::Destination;
pub use metrics::METRICS;
pub use role::{Deliver, Reading};
