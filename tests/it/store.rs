//! One contract for every store, what only S3 has, and what becomes of it all when servers and networks fail.

mod address;
#[cfg(feature = "azure")]
mod azure;
mod contract;
#[cfg(feature = "gcp")]
mod copy;
mod deletion;
mod faults;
#[cfg(feature = "gcp")]
mod gcs;
mod multipart;
mod proxy;
mod terms;
mod versions;
