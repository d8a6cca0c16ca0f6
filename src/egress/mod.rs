//! Requests to servers of other parties. Every HTTP request whose URL comes from a message, a customer, a redirect or
//! an operator's configuration goes through this module.
//!
//! Whoever chooses a URL must not reach hosts through this machine that they cannot reach themselves (SSRF). So a name
//! is resolved once, the addresses found are checked, and connections go only to those. Each redirect is a new URL and
//! is checked like the first. Addresses that contain an IPv4 address (NAT64, 6to4, mapped) are judged by that address.
//!
//! A [`Credential`] comes with the [`Hosts`] that it may be sent to. A request to any other host is refused before
//! anything is sent, and a redirect to another host is followed without the credential.
//!
//! There are two circuit breakers. [`Endpoints`] stops requests to origins that use up time without delivering files,
//! by tenant and address. [`Breaker`] stops requests of an account with a provider when its error budget is used up.

mod account_breaker;
mod address;
mod client;
mod credential;
mod error;
mod library_error;
mod origin_breaker;
mod pace;
mod peers;
mod request;
mod resolver;
mod response;
mod rules;

pub use account_breaker::{Breaker, Budget, CallOutcome, OpenReason, Permit, State};
pub use client::{Egress, Options};
pub use credential::{Credential, Hosts, HostsError};
pub use error::EgressError;
pub use origin_breaker::{Endpoints, Visit};
pub use pace::{Pace, Pacer, TooSlow};
pub use peers::{Anybody, Peers};
pub use request::{Method, Request};
pub use response::{Answer, Response};
pub use rules::{Redirects, Rules};
