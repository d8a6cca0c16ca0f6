//! Configuration and profiles: raw shapes as written, validated into what the program uses.
//!
//! `default.toml` is the reference for the configuration, `profiles/*.toml` for profiles.

mod check;
mod error;
mod layer;
mod load;
mod log_filter;
mod profile;
mod profiles;
mod raw;

pub use error::{ConfigError, ConfigErrors};
pub use layer::env_name;
pub use load::{DEFAULT_TOML, listen, load};
pub use profile::{RawAudio, RawPicture, RawProfile, RawThumbnail, RawVideo, RawWaveform};
pub use profiles::{Profile, Profiles};
pub use raw::{
    Broker, Config, Http, Limits, Log, LogFormat, Sandbox, SandboxMode, Secret, Source, Store, Traces, Worker,
};
