//! Requests to other people's servers: every HTTP request whose address comes from a message, a customer, a redirect or
//! an operator's configuration goes through here.
//!
//! Whoever chooses a URL must not reach hosts through this machine that they cannot reach themselves. So a name is
//! looked up once, the addresses that were found are judged, and connections go to those and to no others; each
//! redirect is a new URL that is judged like the first. Addresses that carry an IPv4 address (NAT64, 6to4, mapped) are
//! judged by what they carry.
//!
//! A [`Credential`] is given together with the [`Hosts`] that it may go to. A request that begins elsewhere is refused
//! before anything is sent, and a redirect that leaves these hosts is followed without the credential.
//!
//! Two circuit breakers: [`Endpoints`] stops requests to origins that take time and give nothing, by tenant and
//! address; [`Breaker`] stops requests of one account with a provider whose error budget is used up.

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
