//! What a process of this program can be: each role is a subcommand, and scales by replicas.

pub mod gateway;
