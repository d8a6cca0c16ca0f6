//! mediamill takes customer media from a queue, makes it small and playable everywhere, stores it, and says what it
//! did.
//!
//! # Map
//! The modules, and the library or knowledge that only each of them has:
//!
//! | module | does | only it knows |
//! |---|---|---|
//! | [`broker`] | takes messages, publishes with confirms, declares exchange and queues | lapin |
//! | [`events`] | reads and writes events and manifests | CloudEvents, the contract |
//! | [`runtime`] | runs a role: slots, retries, dead letters, drain, health, metrics, spans | what is tried again; axum |
//! | [`roles`] | what mediamill does with messages; [`roles::worker`] normalizes media (`pipeline.rs`) | |
//! | [`channels`] | verifies and reads what messaging providers send | signature schemes, providers |
//! | [`links`] | writes and verifies links that people keep | |
//! | [`database`] | opens SQLite or PostgreSQL for the roles that have one | sqlx (and each role's own statements) |
//! | [`source`] | fetches originals, capped and hashed on the way | |
//! | [`egress`] | requests to other people's servers: address rules, redirects, credentials bound to hosts, breakers | reqwest |
//! | [`secrets`] | values of the configuration that are never printed, from a literal, a variable or a file | |
//! | [`sandbox`] | starts a confined child for each job and learns how it ended | fork, Landlock, seccomp |
//! | [`transcode`] | the work in the child: read, decode, encode, check | libav |
//! | [`task`] | what a child is asked and what it answers | |
//! | [`plan`] | decides what to make of a file from its facts and the profile | nothing but facts |
//! | [`profile`] | compression profiles, as written and as checked | |
//! | [`vocabulary`] | words that events and decisions share: kinds, roles, streams, stages, ids | |
//! | [`store`] | stores objects in S3, Google Cloud Storage, Azure Blob Storage or a directory | the AWS SDK, object_store |
//! | `server` | the HTTP servers of gateway and catalogue, with TLS | axum, tokio-rustls |
//! | [`privacy`] | consent, retention, tombstones and erasing, over the store alone | how people are known |
//! | [`config`] | configuration and profile files, from raw to validated | TOML, the environment |
//! | [`error`] | every stable code, and what each fault means for a job | |
//! | [`telemetry`] | logs and spans | OpenTelemetry |
//! | [`profile_lab`] | what compression profiles cost and keep | ViSQOL, SSIMULACRA 2 |
//! | [`simulate`] | plays a messaging provider, for trials and tests | axum |
//! | [`cli`] | one file a command; `normalize` runs the worker's pipeline without broker and store | clap |
//!
//! # What always holds
//! - A message is acknowledged only after the broker has confirmed its outcome, or a copy of it in another queue.
//! - An outcome names only objects that are stored; `manifest.json` is written last. A media that has one has an
//!   outcome.
//! - The worker process never demuxes or decodes: libav reads customers' bytes only in a child that has no network,
//!   cannot execute anything, and opens nothing but its scratch directory.
//! - No type of the queue, the store or the codecs leaves its module; `tests/it/architecture.rs` reads the source for
//!   it.
//! - Nothing logs secrets, captions or names.

// What only one role calls is not dead: the other roles are built without it.
#![cfg_attr(not(feature = "media"), allow(dead_code))]

pub mod broker;
pub mod channels;
pub mod cli;
pub mod config;
#[cfg(any(feature = "catalog", feature = "deliver"))]
pub mod database;
pub mod egress;
pub mod error;
pub mod events;
#[cfg(any(feature = "catalog", feature = "deliver"))]
pub mod links;
pub mod plan;
pub mod privacy;
pub mod profile;
#[cfg(feature = "media")]
pub mod profile_lab;
pub mod roles;
pub mod runtime;
#[cfg(feature = "media")]
pub mod sandbox;
pub mod secrets;
#[cfg(any(feature = "gateway", feature = "catalog"))]
pub mod server;
#[cfg(feature = "gateway")]
pub mod simulate;
#[cfg(feature = "media")]
pub mod source;
pub mod store;
pub mod task;
pub mod telemetry;
#[cfg(feature = "media")]
pub mod transcode;
pub mod vocabulary;
