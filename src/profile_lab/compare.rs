//! Compares two reports on the same points: which figures differ by more than noise.

use super::record::{BenchReport, Class, Run};
use super::report::{METRICS, Metric};
use super::stats::{Interval, median};

/// The change of one figure of one point that both reports have.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Class of files.
    pub class: Class,
    /// The label of the point.
    pub point: String,
    /// `cpu_s`, `bytes`, or the name of a metric.
    pub figure: &'static str,
    /// How many files both reports have.
    pub files: usize,
    /// Mean change over the files: in percent for CPU and bytes, otherwise in the metric's unit.
    pub change: f64,
    /// Lower end of its 95 % confidence interval (paired by file, Student's t).
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Whether the interval excludes zero.
    pub beyond_noise: bool,
    /// Whether the change is a deterioration.
    pub worse: bool,
}

/// Compares every figure of every point that both reports have, over the files that both have. Files are identified by
/// their hash.
#[must_use]
pub fn compare(old: &BenchReport, new: &BenchReport) -> Vec<Move> {
    let mut moves = Vec::new();
    for summary in &new.summaries {
        let pairs = pairs(old, new, summary.class, &summary.point);
        let mut add = |figure: &'static str, changes: Vec<f64>, less_is_worse: bool| {
            let Some(interval) = Interval::of(&changes) else { return };
            moves.push(Move {
                class: summary.class,
                point: summary.point.clone(),
                figure,
                files: changes.len(),
                change: interval.mean,
                low: interval.low,
                high: interval.high,
                beyond_noise: interval.excludes_zero(),
                worse: if less_is_worse { interval.mean < 0.0 } else { interval.mean > 0.0 },
            });
        };
        let percent = |of: fn(&[&Run]) -> f64| {
            let change = |(old, new): &Pair<'_>| (of(new) / of(old).max(1e-9) - 1.0) * 100.0;
            pairs.iter().map(change).collect()
        };
        add("cpu_s", percent(|runs| median(&runs.iter().map(|run| run.cpu_s).collect::<Vec<_>>())), false);
        add("bytes", percent(bytes), false);
        for Metric { name, of, less_is_worse } in METRICS {
            let score = |runs: &[&Run]| runs.iter().find_map(|run| of(run.scores.as_ref()?));
            let change = |(old, new): &Pair<'_>| Some(score(new)? - score(old)?);
            add(name, pairs.iter().filter_map(change).collect(), less_is_worse);
        }
    }
    moves
}

/// The repeats of one file in the older and in the newer report.
type Pair<'a> = (Vec<&'a Run>, Vec<&'a Run>);

fn pairs<'a>(old: &'a BenchReport, new: &'a BenchReport, class: Class, point: &str) -> Vec<Pair<'a>> {
    let of = |report: &'a BenchReport, sha256: Option<&str>| -> Vec<&'a Run> {
        let ours = report.runs.iter().filter(|run| run.class == Some(class) && run.point == point);
        ours.filter(|run| sha256.is_none_or(|sha256| run.sha256 == sha256)).collect()
    };
    let mut files: Vec<&str> = of(new, None).into_iter().map(|run| run.sha256.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let both = files.into_iter().map(|sha256| (of(old, Some(sha256)), of(new, Some(sha256))));
    both.filter(|(old, _)| !old.is_empty()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn bytes(runs: &[&Run]) -> f64 {
    runs.first().map_or(0.0, |run| run.bytes_after as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::report::tests::{of, run};

    #[test]
    fn changes_are_distinguished_from_noise() {
        let report = |bytes: u64, mos: f64, cpu: [f64; 3]| {
            let runs = ["one", "two", "three"]
                .iter()
                .zip(cpu)
                .map(|(file, cpu_s)| Run { cpu_s, ..run("crm", file, 0, bytes, Some(mos)) });
            of(runs.collect())
        };
        let moves = compare(&report(30_000, 4.0, [0.5, 0.6, 0.7]), &report(33_000, 3.9, [0.6, 0.5, 0.7]));
        let find = |figure: &str| moves.iter().find(|moved| moved.figure == figure).expect(figure).clone();
        let bytes = find("bytes");
        assert!(bytes.beyond_noise && bytes.worse && (bytes.change - 10.0).abs() < 1e-9, "{bytes:?}");
        let mos = find("mos");
        assert!(mos.beyond_noise && mos.worse && (mos.change + 0.1).abs() < 1e-9, "{mos:?}");
        let cpu = find("cpu_s");
        assert!(!cpu.beyond_noise && cpu.files == 3, "one up, one down: {cpu:?}");
        assert!(!moves.iter().any(|moved| moved.figure == "ssim"), "nothing to compare: {moves:?}");
    }

    #[test]
    fn points_and_files_that_only_one_report_has_are_left_out() {
        let old = of(vec![run("crm", "one", 0, 1, Some(4.0)), run("crm", "two", 0, 1, Some(4.0))]);
        let new = of(vec![run("crm", "two", 0, 1, Some(4.0)), run("voice", "one", 0, 1, Some(4.0))]);
        assert_eq!(compare(&old, &new), [], "one file gives no confidence interval");
    }
}
