//! Bird: the Channels API and the platform of 2026, which have nothing but the vendor in common.

mod channels;
mod platform;

pub(super) use channels::Channels;
pub(super) use platform::Platform;
