//! What mediamill does with messages: one folder for each role. A role is run by [`runtime`](crate::runtime), and no
//! role uses another.

#[cfg(feature = "catalog")]
pub mod catalog;
#[cfg(feature = "deliver")]
pub mod deliver;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod lanes;
#[cfg(feature = "catalog")]
pub mod privacy;
#[cfg(feature = "media")]
pub mod worker;
