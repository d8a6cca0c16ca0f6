//! The parts of a role's readiness, and what the last check found wrong with each.

/// One part of readiness, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `lanes` for the queues, `broker`, and the parts of the role itself.
    pub name: &'static str,
    /// An explanation for people; `None` if the part is ready.
    pub trouble: Option<String>,
}

/// Whether a role consumes messages and can handle them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// All parts, whether ready or not.
    pub parts: Vec<Part>,
    /// Waiting messages by queue; empty if the broker does not answer.
    pub(super) depths: Vec<(String, u32)>,
}

impl Readiness {
    /// Whether every part is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.trouble.is_none())
    }
}
