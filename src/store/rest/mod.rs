//! Requests to stores that speak plain REST (Google Cloud Storage, Azure Blob Storage): connections, time-outs, repeated
//! attempts, bodies from files, and reading with new requests for the rest. What a store's answers mean and who asks is said by
//! its [`Dialect`].
//!
//! The address is the operator's, not a customer's, so that this is no business of `egress`: connections are kept, bodies are
//! streamed from disk, and no address is judged.

mod answer;
mod ask;
mod body;
mod client;
mod dialect;
mod reader;

pub(super) use answer::{Answer, header};
pub(super) use ask::Ask;
pub(super) use body::Body;
pub(super) use client::Rest;
#[cfg(feature = "gcp")]
pub(super) use client::pause;
pub(super) use dialect::Dialect;
pub(super) use reader::open;
#[cfg(feature = "azure")]
pub(super) use reqwest::header::HeaderName;
pub(super) use reqwest::header::{HeaderMap, HeaderValue};
pub(super) use reqwest::{Method, Request};
