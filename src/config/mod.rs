//! Configuration and profiles: raw shapes as written, validated into what the program uses.
//!
//! `default.toml` is the reference for the configuration, `profiles/*.toml` for profiles.

mod check;
mod error;
mod layer;
mod load;
mod log_filter;
mod profiles;
mod raw;

pub use error::{ConfigError, ConfigErrors};
pub use layer::env_name;
pub use load::{DEFAULT_TOML, listen, load};
pub use profiles::{Profile, Profiles};
pub use raw::{Broker, Config, Http, Log, LogFormat, Sandbox, Secret, Source, Store, Traces, Worker};

pub use crate::task::{Limits, SandboxMode};
