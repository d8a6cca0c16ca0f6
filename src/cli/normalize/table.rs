//! Prints a line for each file with what was done to it, and the totals.

use std::io::{self, Write};
use std::time::Duration;

use super::super::units;
use super::FinishedFile;
use crate::roles::worker::Outcome;

const HEAD: [&str; 8] = ["file", "kind", "action", "before", "after", "saved", "duration", "seconds"];
/// Columns that are right-aligned.
const FIGURES: std::ops::Range<usize> = 3..8;
const FILE_COLUMNS: usize = 48;

/// Counts and sizes of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) normalized: usize,
    pub(super) rejected: usize,
    pub(super) failed: usize,
    /// Total size of the originals of normalized files.
    pub(super) bytes_before: u64,
    pub(super) bytes_after: u64,
}

impl Totals {
    pub(super) fn of(done: &[FinishedFile]) -> Self {
        let mut totals = Self::default();
        for done in done {
            match &done.outcome {
                Outcome::Normalized(manifest) => {
                    totals.normalized += 1;
                    totals.bytes_before += manifest.data.decision.bytes_before;
                    totals.bytes_after += manifest.data.decision.bytes_after;
                }
                Outcome::Rejected(_) => totals.rejected += 1,
                Outcome::Failed(_) => totals.failed += 1,
            }
        }
        totals
    }
}

/// Writes the table, the failures and the totals.
pub(super) fn write(out: &mut impl Write, done: &[FinishedFile], elapsed: Duration) -> io::Result<()> {
    let rows: Vec<[String; 8]> = done.iter().map(row).collect();
    let widths: [usize; 8] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| units::width(&row[column]));
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    });
    line(out, &HEAD.map(str::to_owned), &widths)?;
    for row in &rows {
        line(out, row, &widths)?;
    }
    writeln!(out)?;
    for done in done {
        if let Outcome::Rejected(ended) | Outcome::Failed(ended) = &done.outcome {
            let (label, data) = (units::printable(&done.input.label), &ended.data);
            writeln!(out, "{} {label}: {} ({})", done.outcome.as_str(), data.explanation, data.code)?;
        }
    }
    let Totals { normalized, rejected, failed, bytes_before, bytes_after } = Totals::of(done);
    writeln!(
        out,
        "{} files in {:.1} s: {normalized} normalized, {rejected} rejected, {failed} failed; {} → {}, {} saved",
        done.len(),
        elapsed.as_secs_f64(),
        units::bytes(bytes_before),
        units::bytes(bytes_after),
        units::saved(bytes_before, bytes_after),
    )
}

fn row(done: &FinishedFile) -> [String; 8] {
    let file = units::shortened(&units::printable(&done.input.label), FILE_COLUMNS);
    match &done.outcome {
        Outcome::Normalized(manifest) => {
            let data = &manifest.data;
            let decision = &data.decision;
            [
                file,
                data.kind.as_str().to_owned(),
                decision.action.as_str().to_owned(),
                units::bytes(decision.bytes_before),
                units::bytes(decision.bytes_after),
                units::saved(decision.bytes_before, decision.bytes_after),
                data.original.duration_ms.map(units::clock).unwrap_or_default(),
                units::seconds(data.timings_ms.total),
            ]
        }
        Outcome::Rejected(_) | Outcome::Failed(_) => {
            let mut row = [const { String::new() }; 8];
            row[0] = file;
            done.outcome.as_str().clone_into(&mut row[2]);
            row
        }
    }
}

fn line(out: &mut impl Write, cells: &[String; 8], widths: &[usize; 8]) -> io::Result<()> {
    let mut text = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let pad = " ".repeat(widths[column].saturating_sub(units::width(cell)));
        let (left, right) = if FIGURES.contains(&column) { (pad.as_str(), "") } else { ("", pad.as_str()) };
        text.extend([left, cell, right, "  "]);
    }
    writeln!(out, "{}", text.trim_end())
}
