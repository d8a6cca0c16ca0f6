//! Largest messages and parts of messages that are read.

/// Most bytes of a message that asks for work. Files travel by reference, so that an event is a few kilobytes.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Most bytes of `context`, as JSON without white space. It is stored and sent back with every outcome.
pub const MAX_CONTEXT_BYTES: usize = 64 << 10;
/// Most bytes of an outcome that is read. It echoes a request, which JSON may write longer than it came, and has a
/// report and a manifest of its own beside it.
pub const MAX_OUTCOME_BYTES: usize = 8 << 20;
