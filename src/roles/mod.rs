//! What mediamill does with messages: one folder a role. A role is run by [`runtime`](crate::runtime), and no role uses another.

pub mod gateway;
pub mod worker;
