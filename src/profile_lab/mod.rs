//! Measures compression profiles: runs every point (a profile with certain settings) over every file of a corpus in the
//! same confined child as a worker, and measures cost and quality.
//!
//! [`matrix`] makes the points, [`Bench`] runs them and keeps a journal, [`report`] sums up, [`compare`] and [`gates`]
//! judge against an older report, [`recommend`] picks. What is written to disk is declared in [`record`].

pub mod compare;
pub mod corpus;
pub mod gates;
mod journal;
mod machine;
pub mod matrix;
mod page;
mod quality;
pub mod recommend;
pub mod record;
pub mod report;
mod run;
mod stats;
mod table;

pub use journal::Journal;
pub use machine::machine;
pub use page::{Specimen, page, worst};
pub use run::{Bench, FinishedRun};
pub use table::csv;

/// Why a bench cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file of the bench's own, with its path.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl BenchError {
    /// An error with the path that it is about.
    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}
