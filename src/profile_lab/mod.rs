//! Measures compression profiles: runs every point (a profile with certain settings) over every file of a corpus, in
//! the same confined child as a worker, and measures cost and quality.
//!
//! [`matrix`] builds the points, [`Bench`] runs them and keeps a journal, [`report`] summarises, [`compare`] and
//! [`gates`] compare with an older report and with limits, [`recommend`] chooses a point. [`placement`] says how a worker
//! would store what was made, [`price`] what that costs. [`record`] declares what is written to disk.

pub mod compare;
pub mod corpus;
pub mod gates;
mod journal;
mod machine;
pub mod matrix;
mod page;
pub mod placement;
pub mod price;
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

/// Why a bench cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The options contradict each other or are not possible.
    #[error("{0}")]
    Usage(String),
    /// A file of the bench could not be read or written; the text has its path.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl BenchError {
    /// Adds the path to an error.
    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}
