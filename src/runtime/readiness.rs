//! The parts of a role's readiness, and what was last found wrong with each.

/// A part of readiness, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `lanes` for the queues, `broker`, and what the role has besides.
    pub name: &'static str,
    /// A sentence for people; nothing where all is well.
    pub trouble: Option<String>,
}

/// Whether a role takes messages and could do what they ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Always all of them.
    pub parts: Vec<Part>,
    /// Messages that wait, by queue; empty where the broker does not answer.
    pub(super) depths: Vec<(String, u32)>,
}

impl Readiness {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.trouble.is_none())
    }
}
