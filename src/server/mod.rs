//! HTTP servers that other people's programs reach: the gateway's and the catalogue's. Plain HTTP behind a proxy that ends TLS, or
//! TLS with a certificate from files.
//!
//! ```text
//! connection ──> place ──> TLS handshake, where there is a certificate ──> requests, HTTP/1.1 ──> the role's router
//!       waits ^         closed ^ after head_timeout                  closed ^ after head_timeout without a head
//! ```

mod inspect;
mod pair;
mod serve;
mod tls;

pub use inspect::{Finding, inspect};
pub use pair::TlsError;
pub use serve::{Limits, Listener, Peer, serve};
pub use tls::{Files, Tls};
