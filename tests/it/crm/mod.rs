//! Fakes of CRMs, what they have to imitate, and the vendors' own and other people's clients as their judges; deliveries to them.

mod account;
mod amendments;
mod deliveries;
mod fakes;
mod live;
mod refusals;
mod replicas;
mod residues;
mod trial;
mod vendors;
