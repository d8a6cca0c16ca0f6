//! What is lost under named faults: nothing. One test a fault, each with real workers, a real broker, a real store.
//!
//! `JOBS` says how many jobs a fault has to bear, 200 where it says nothing. With `FAULTS_TABLE`, a directory, each test
//! leaves its line of the table of docs/benchmarks.md there.

mod broker;
mod cluster;
mod machine;
mod messages;
mod soak;
mod source;
mod store;
mod trial;
mod upgrade;
mod worker;
