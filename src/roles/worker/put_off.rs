//! Why a message of the worker comes again later without its attempt being counted: the words of logs and metrics.

use crate::runtime::{AGE, SHARE};

/// The same file is worked on.
pub(super) const DUPLICATE: &str = "duplicate";
/// This worker can do no job at the moment.
pub(super) const UNABLE: &str = "unable";
/// Running jobs leave too little scratch space.
pub(super) const SCRATCH: &str = "scratch";
/// Its file is here, and no slot became free for it in time.
pub(super) const SLOT: &str = "slot";

/// The channel account that has its file is left alone for a while.
pub(super) const ACCOUNT: &str = "account";

/// Its provider does not answer, and keeps the file for some time yet.
pub(super) const SOURCE: &str = "source";

/// All of them, and those of the runtime.
pub(super) const ALL: [&str; 8] = [SHARE, AGE, DUPLICATE, UNABLE, SCRATCH, SLOT, ACCOUNT, SOURCE];
