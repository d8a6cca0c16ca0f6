//! Configuration and profiles: read as they are written, checked, and converted to what the program uses.
//!
//! `default.toml` is the reference for the configuration, `profiles/*.toml` for profiles.

mod buckets;
mod catalog;
mod channels;
mod check;
mod defaults;
mod deliver;
mod env;
mod error;
mod http_url;
mod layer;
mod links;
mod load;
mod location;
mod log_filter;
mod login;
mod privacy;
mod profiles;
mod raw;
mod storage_class;
mod store;

pub use buckets::Bucket;
pub use catalog::{Access, Catalog, network};
pub use channels::{Channel, Provider};
pub use defaults::DEFAULT_TOML;
pub use deliver::{Destination, DestinationKind, Handshake, Ledger};
pub use env::{env_name, env_name_of_table};
pub use error::{ConfigError, ConfigErrors};
pub use links::Links;
pub use load::{Reloaded, listen, load, reload};
pub use location::{Location, LocationError};
pub use log_filter::current as current_filter;
pub use login::Login;
pub use privacy::{ConsentMode, Privacy, Tenant};
pub use profiles::{LoadedProfile, Profiles};
pub use raw::{Broker, Config, Gateway, Http, Log, LogFormat, Sandbox, Source, Store, Traces, Worker};
pub use storage_class::StorageClass;

pub use crate::task::{Limits, SandboxMode};
