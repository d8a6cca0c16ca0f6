//! Every origin, and what becomes of those that lie, dawdle, loop, or point where they must not.

mod account;
mod channel;
mod file;
mod http;
mod objects;
mod s3;
