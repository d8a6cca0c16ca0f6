//! Prints the figures of a bench.

use std::io::{self, Write};

use crate::profile_lab::compare::Move;
use crate::profile_lab::record::{BenchReport, Class, Summary};

const HEAD: [&str; 10] = ["", "files", "encoded", "saved", "quality", "score", "worst", "× real time", "jobs/s", "p99"];

/// Prints a table for each class. Points on the Pareto front of bytes and quality have a star.
pub(super) fn summaries(out: &mut impl Write, report: &BenchReport) -> io::Result<()> {
    for class in [Class::Voice, Class::Music, Class::Video] {
        let rows: Vec<[String; 10]> = report.summaries.iter().filter(|s| s.class == class).map(row).collect();
        if rows.is_empty() {
            continue;
        }
        let score = if class == Class::Video { "SSIMULACRA 2" } else { "MOS" };
        let mut head = HEAD.map(str::to_owned);
        (head[0], head[5]) = (class.as_str().to_owned(), score.to_owned());
        let width = |n: usize| rows.iter().chain([&head]).map(|row| row[n].chars().count()).max().unwrap_or(0);
        let widths: [usize; 10] = std::array::from_fn(width);
        for row in std::iter::once(&head).chain(&rows) {
            let (name, figures) = row.split_first().map_or(("", &row[..0]), |(name, rest)| (name.as_str(), rest));
            write!(out, "{name:<0$}", widths[0])?;
            for (figure, width) in figures.iter().zip(&widths[1..]) {
                write!(out, "  {figure:>width$}")?;
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        if let Some(cost) = report.summaries.iter().find(|s| s.class == class).and_then(|s| s.cost) {
            let (point, class) = (rows[0][0].trim_end_matches(" *"), class.as_str());
            let (storage, cpu, requests) = (cost.storage_month, cost.cpu, cost.requests);
            writeln!(
                out,
                "{point}: 1,000 {class} files cost {cpu:.4} to produce, {requests:.4} to upload and {storage:.4} a month to store\n"
            )?;
        }
    }
    Ok(())
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

/// `voice crm: cpu_s +3.20 % (+1.10 to +5.30, 24 files)`.
pub(super) fn moved(out: &mut impl Write, moved: &Move) -> io::Result<()> {
    let unit = if matches!(moved.figure, "cpu_s" | "bytes") { " %" } else { "" };
    let Move { class, point, figure, files, change, low, high, worse, .. } = moved;
    let verdict = if *worse { "worse" } else { "better" };
    let class = class.as_str();
    writeln!(out, "{class} {point}: {figure} {change:+.2}{unit} ({low:+.2} to {high:+.2}, {files} files), {verdict}")
}
