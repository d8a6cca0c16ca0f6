//! What a store does with objects that are deleted, as far as it says so: for `doctor`.

/// What was found out, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// The store says so.
    Is(T),
    /// The store refuses to say: the credentials do not have this permission.
    NotPermitted(&'static str),
    /// The store has no answer to this question in the interface that is used.
    NotTold(&'static str),
}

/// What becomes of deleted objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Whether older versions of objects are kept. An erasure removes all of them.
    pub versions: Known<Versions>,
    /// For how many seconds everything that is deleted can be brought back, whoever deletes it. 0: not at all.
    pub soft_delete_s: Known<u64>,
    /// Whether there is a time in which a new object cannot be deleted by anybody.
    pub lock: Known<Lock>,
    /// Whether the store copies objects elsewhere, where no erasure removes them.
    pub copies: Known<bool>,
}

/// Whether older versions of objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// They are not.
    Gone,
    /// They are, until a rule of the bucket removes them so many days later; nothing where no rule does.
    Kept {
        /// Days of the rule.
        days: Known<Option<u32>>,
    },
}

/// Whether there is a time in which a new object cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// There is none.
    None,
    /// So many seconds after it was written.
    Seconds(u64),
    /// Until somebody lifts a hold.
    UntilLifted,
}

impl Lock {
    /// Of a period that may be 0.
    pub(super) const fn of(seconds: u64) -> Self {
        if seconds == 0 { Self::None } else { Self::Seconds(seconds) }
    }
}

impl Deletion {
    /// Of a store that keeps nothing.
    #[must_use]
    pub const fn at_once() -> Self {
        Self {
            versions: Known::Is(Versions::Gone),
            soft_delete_s: Known::Is(0),
            lock: Known::Is(Lock::None),
            copies: Known::Is(false),
        }
    }
}
