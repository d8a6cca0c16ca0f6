//! One contract for every store, what only S3 has, and what becomes of it all when servers and networks fail.

mod address;
mod contract;
mod faults;
mod multipart;
mod proxy;
mod terms;
mod versions;
