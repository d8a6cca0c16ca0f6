//! Fakes of CRMs, what they have to imitate, and the vendors' own and other people's clients as their judges; deliveries to them.

mod deliveries;
mod fakes;
mod refusals;
mod replicas;
mod trial;
mod vendors;
