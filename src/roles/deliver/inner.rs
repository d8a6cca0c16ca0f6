//! What the role and its commands share.

use super::engine::Engine;
use super::metrics::Metrics;
use super::site::Site;
use crate::broker::{Ladder, Publisher};

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) sites: Vec<Site>,
    pub(super) engine: Engine,
    pub(super) publisher: Publisher,
    pub(super) metrics: Metrics,
    pub(super) ladder: Ladder,
    /// `source` of events of this role.
    pub(super) source: String,
}
