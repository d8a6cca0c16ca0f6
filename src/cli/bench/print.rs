//! Prints the figures of a bench.

use std::io::{self, Write};

use crate::cli::units;
use crate::profile_lab::compare::Move;
use crate::profile_lab::record::{BenchReport, Class, Summary};

const HEAD: [&str; 10] = ["", "files", "encoded", "saved", "quality", "score", "worst", "× real time", "jobs/s", "p99"];
const COST_HEAD: [&str; 11] =
    ["", "days", "objects", "stored", "billed", "storage", "requests", "early deletion", "reading", "CPU", "sum"];

/// Prints a table for each class, and one of its costs where there are prices. Points on the Pareto front of bytes and quality
/// have a star.
pub(super) fn summaries(out: &mut impl Write, report: &BenchReport) -> io::Result<()> {
    for class in [Class::Voice, Class::Music, Class::Video] {
        let ours: Vec<&Summary> = report.summaries.iter().filter(|summary| summary.class == class).collect();
        if ours.is_empty() {
            continue;
        }
        let score = if class == Class::Video { "SSIMULACRA 2" } else { "MOS" };
        let mut head = HEAD.map(str::to_owned);
        (head[0], head[5]) = (class.as_str().to_owned(), score.to_owned());
        table(out, head, ours.iter().copied().map(row).collect())?;
        let costs: Vec<_> = ours.iter().copied().filter_map(cost_row).collect();
        if let Some(prices) = report.prices.as_ref().filter(|_| !costs.is_empty()) {
            let (class, currency, plays) = (class.as_str(), &prices.currency, prices.plays_per_media);
            writeln!(out, "Cost of 1,000 {class} files in {currency}, each played {plays} times:\n")?;
            table(out, COST_HEAD.map(str::to_owned), costs)?;
        }
    }
    Ok(())
}

/// Prints rows with their first column to the left and figures to the right.
fn table<const N: usize>(out: &mut impl Write, head: [String; N], rows: Vec<[String; N]>) -> io::Result<()> {
    let all: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|n| all.iter().map(|row| row[n].chars().count()).max().unwrap_or_default());
    for row in &all {
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            if n == 0 { write!(out, "{cell:<width$}")? } else { write!(out, "  {cell:>width$}")? }
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn row(summary: &Summary) -> [String; 10] {
    let (key, digits) = if summary.class == Class::Video { ("ssimulacra2", 1) } else { ("mos", 2) };
    let figure = summary.scores.get(key);
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(String::new, |value| format!("{value:.digits$}"));
    [
        format!("{}{}", summary.point, if summary.pareto { " *" } else { "" }),
        summary.files.to_string(),
        summary.encoded.to_string(),
        format!("{:.1} %", summary.saved_percent),
        shown(summary.quality, 1),
        shown(figure.map(|figure| figure.mean), digits),
        shown(figure.map(|figure| figure.worst), digits),
        format!("{:.0}", summary.speed),
        format!("{:.1}", summary.jobs_per_s),
        format!("{:.3} s", summary.wall_p99_s),
    ]
}

/// Money with four decimals; objects and bytes of one media.
fn cost_row(summary: &Summary) -> Option<[String; 11]> {
    let (cost, stored) = (summary.cost?, summary.stored_in_all());
    let money = |figure: f64| format!("{figure:.4}");
    Some([
        summary.point.clone(),
        cost.days.to_string(),
        format!("{:.1}", stored.objects),
        units::bytes(whole(stored.bytes)),
        units::bytes(whole(cost.billed_bytes_per_media)),
        money(cost.storage),
        money(cost.requests),
        money(cost.early_deletion),
        money(cost.reading),
        money(cost.cpu),
        money(cost.total),
    ])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of numbers of bytes")]
const fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}

/// `voice crm: cpu_s +3.20 % (+1.10 to +5.30, 24 files)`.
pub(super) fn moved(out: &mut impl Write, moved: &Move) -> io::Result<()> {
    let unit = if matches!(moved.figure, "cpu_s" | "bytes") { " %" } else { "" };
    let Move { class, point, figure, files, change, low, high, worse, .. } = moved;
    let verdict = if *worse { "worse" } else { "better" };
    let class = class.as_str();
    writeln!(out, "{class} {point}: {figure} {change:+.2}{unit} ({low:+.2} to {high:+.2}, {files} files), {verdict}")
}
