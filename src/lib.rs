//! mediamill takes customer media from a queue, makes it small and playable everywhere, stores it, and says what it did.

pub mod bench;
pub mod broker;
pub mod cli;
pub mod config;
pub mod domain;
pub mod error;
pub mod events;
pub mod http;
pub mod sandbox;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod transcode;
pub mod worker;
