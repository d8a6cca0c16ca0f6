//! Summarises jobs by class and point.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::corpus::Media;
use super::placement::Placement;
use super::price::shares;
use super::record::{BenchReport, Class, Corpus, Figure, Machine, Prices, REPORT_SCHEMA, Run, Scores, Summary};
use super::stats::{mean, median, percentile, to_f64};

/// One of the metrics in [`Scores`].
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) of: fn(&Scores) -> Option<f64>,
    pub(super) less_is_worse: bool,
}

/// All metrics, in the order of tables.
pub(super) const METRICS: [Metric; 6] = [
    Metric { name: "mos", of: |scores| scores.mos, less_is_worse: true },
    Metric { name: "loudness_error_lu", of: |scores| scores.loudness_error_lu.map(f64::abs), less_is_worse: false },
    Metric { name: "ssim", of: |scores| scores.ssim, less_is_worse: true },
    Metric { name: "psnr_db", of: |scores| scores.psnr_db, less_is_worse: true },
    Metric { name: "ssimulacra2", of: |scores| scores.ssimulacra2, less_is_worse: true },
    Metric { name: "ssimulacra2_worst", of: |scores| scores.ssimulacra2_worst, less_is_worse: true },
];

/// Builds the report.
#[must_use]
pub fn report(
    machine: Machine,
    corpus: &[Media],
    runs: Vec<Run>,
    placement: &Placement,
    prices: Option<Prices>,
) -> BenchReport {
    let means = Means { jobs: machine.jobs, placement, prices: prices.as_ref() };
    let mut points: Vec<(Class, String)> = Vec::new();
    for run in &runs {
        let Some(class) = run.class else { continue };
        if !points.iter().any(|(known, point)| (*known, point) == (class, &run.point)) {
            points.push((class, run.point.clone()));
        }
    }
    points.sort_by_key(|(class, _)| *class);
    let mut summaries: Vec<Summary> =
        points.iter().filter_map(|(class, point)| summary(*class, point, &runs, means)).collect();
    let best = summaries.clone();
    for summary in &mut summaries {
        summary.pareto = !best.iter().any(|other| dominates(other, summary));
    }
    let aside = runs.iter().filter(|run| run.class.is_none());
    let corpus = Corpus {
        files: u32::try_from(corpus.len()).unwrap_or(u32::MAX),
        bytes: corpus.iter().map(|media| media.size_bytes).sum(),
        left_aside: aside.map(|run| (run.file.clone(), run.outcome.clone())).collect(),
    };
    let created = Timestamp::now().to_string();
    BenchReport { schema: REPORT_SCHEMA.to_owned(), created, machine, prices, corpus, summaries, runs }
}

/// Whether `other` is at least as good in bytes and quality, and better in one of them.
fn dominates(other: &Summary, summary: &Summary) -> bool {
    let quality = |summary: &Summary| summary.quality.unwrap_or(0.0);
    other.class == summary.class
        && other.bytes_after <= summary.bytes_after
        && quality(other) >= quality(summary)
        && (other.bytes_after < summary.bytes_after || quality(other) > quality(summary))
}

/// What figures are computed with beside the jobs.
#[derive(Clone, Copy)]
struct Means<'a> {
    jobs: u32,
    placement: &'a Placement,
    prices: Option<&'a Prices>,
}

/// The repeats of one file with one point.
struct Repeats<'a> {
    first: &'a Run,
    cpu_s: f64,
}

fn summary(class: Class, point: &str, runs: &[Run], means: Means<'_>) -> Option<Summary> {
    let Means { jobs, placement, prices } = means;
    let ours: Vec<&Run> = runs.iter().filter(|run| run.class == Some(class) && run.point == point).collect();
    let mut by_file: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in &ours {
        by_file.entry(&run.file).or_default().push(run);
    }
    let files: Vec<Repeats<'_>> = by_file.values().filter_map(|runs| repeats(runs)).collect();
    let (bytes_before, bytes_after) = files
        .iter()
        .fold((0, 0), |(before, after), file| (before + file.first.bytes_before, after + file.first.bytes_after));
    let cpu_s: f64 = files.iter().map(|file| file.cpu_s).sum();
    let media_ms: u64 = files.iter().map(|file| file.first.duration_ms).sum();
    let wall: Vec<f64> = ours.iter().map(|run| run.wall_s).collect();
    let media: Vec<&Run> = files.iter().map(|file| file.first).collect();
    let encoded: Vec<&Run> = media.iter().copied().filter(|run| run.outcome == "encoded").collect();
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    let scores = scores(&encoded);
    Some(Summary {
        class,
        point: point.to_owned(),
        profile_version: files.first()?.first.profile_version.clone(),
        files: count,
        encoded: u32::try_from(encoded.len()).unwrap_or(u32::MAX),
        bytes_before,
        bytes_after,
        saved_percent: 100.0 * (1.0 - ratio(bytes_after, bytes_before)),
        cpu_s,
        speed: seconds(media_ms) / cpu_s.max(1e-9),
        jobs_per_s: f64::from(jobs) / mean(&wall).unwrap_or(0.0).max(1e-9),
        wall_p50_s: median(&wall),
        wall_p95_s: percentile(&wall, 95.0),
        wall_p99_s: percentile(&wall, 99.0),
        peak_memory_bytes: ours.iter().map(|run| run.peak_memory_bytes).max().unwrap_or(0),
        quality: quality(class, encoded.is_empty(), &scores),
        pareto: false,
        stored: shares(&media, placement),
        cost: prices.map(|prices| prices.cost(&media, cpu_s, placement)),
        scores,
    })
}

/// Only one of the repeats has scores.
fn repeats<'a>(runs: &[&'a Run]) -> Option<Repeats<'a>> {
    let first = runs.iter().find(|run| run.scores.is_some()).or(runs.first())?;
    let cpu: Vec<f64> = runs.iter().map(|run| run.cpu_s).collect();
    Some(Repeats { first, cpu_s: median(&cpu) })
}

fn scores(encoded: &[&Run]) -> BTreeMap<String, Figure> {
    let mut figures = BTreeMap::new();
    for Metric { name, of, less_is_worse } in METRICS {
        let scored: Vec<(f64, &str)> =
            encoded.iter().filter_map(|run| Some((of(run.scores.as_ref()?)?, run.file.as_str()))).collect();
        let values: Vec<f64> = scored.iter().map(|(value, _)| *value).collect();
        let sign = if less_is_worse { 1.0 } else { -1.0 };
        let worst = scored.iter().min_by(|(one, _), (other, _)| (sign * one).total_cmp(&(sign * other)));
        if let (Some(mean), Some((worst, file))) = (mean(&values), worst) {
            let files = u32::try_from(values.len()).unwrap_or(u32::MAX);
            figures.insert(name.to_owned(), Figure { mean, worst: *worst, worst_file: (*file).to_owned(), files });
        }
    }
    figures
}

fn quality(class: Class, untouched: bool, scores: &BTreeMap<String, Figure>) -> Option<f64> {
    if untouched {
        return Some(100.0);
    }
    match class {
        Class::Voice | Class::Music => scores.get("mos").map(|figure| (figure.mean - 1.0) * 25.0),
        Class::Video => scores.get("ssimulacra2").map(|figure| figure.mean.max(0.0)),
    }
}

fn ratio(one: u64, other: u64) -> f64 {
    if other == 0 { 1.0 } else { to_f64(one) / to_f64(other) }
}

fn seconds(ms: u64) -> f64 {
    ratio(ms, 1000)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::profile_lab::placement::tests::{object, placement};

    /// The job for a voice note of a minute and 60 kB.
    pub(in crate::profile_lab) fn run(point: &str, file: &str, repeat: u32, bytes_after: u64, mos: Option<f64>) -> Run {
        Run {
            build: "b".to_owned(),
            point: point.to_owned(),
            profile_version: format!("version of {point}"),
            file: file.to_owned(),
            sha256: format!("hash of {file}"),
            repeat,
            class: Some(Class::Voice),
            outcome: if mos.is_some() { "encoded" } else { "copied" }.to_owned(),
            failed: false,
            bytes_before: 60_000,
            bytes_after,
            stored: vec![
                object("audio.mp3", bytes_after),
                object("original.ogg", 60_000),
                object("manifest.json", 5_000),
            ],
            duration_ms: 60_000,
            cpu_s: 0.5 + f64::from(repeat) / 10.0,
            wall_s: 1.0,
            peak_memory_bytes: 1 << 20,
            scores: mos.filter(|_| repeat == 0).map(|mos| Scores { mos: Some(mos), ..Scores::default() }),
        }
    }

    pub(in crate::profile_lab) fn of(runs: Vec<Run>) -> BenchReport {
        let machine = Machine {
            cpu: "test".to_owned(),
            cores: 2,
            memory_bytes: 1,
            kernel: "1".to_owned(),
            mediamill: "0".to_owned(),
            libav: BTreeMap::new(),
            jobs: 2,
            threads: 1,
            repeats: 3,
        };
        report(machine, &[], runs, &placement(&[], "a", 0), None)
    }

    #[test]
    fn summaries_have_figures_of_all_files_and_of_the_worst_one() {
        let mut runs: Vec<Run> = (0..3).map(|n| run("a", "one", n, 30_000, Some(4.0))).collect();
        runs.extend((0..3).map(|n| run("a", "two", n, 20_000, Some(3.0))));
        runs.extend((0..3).map(|n| run("a", "three", n, 60_000, None)));
        runs.push(Run { class: None, outcome: "media.unreadable".to_owned(), ..run("a", "four", 0, 60_000, None) });
        let report = of(runs);
        let [summary] = report.summaries.as_slice() else { panic!("{:?}", report.summaries) };
        assert_eq!((summary.files, summary.encoded), (3, 2));
        assert_eq!((summary.bytes_before, summary.bytes_after), (180_000, 110_000));
        assert!((summary.saved_percent - 38.89).abs() < 0.01, "{summary:?}");
        let mos = &summary.scores["mos"];
        assert_eq!((mos.mean, mos.worst, mos.worst_file.as_str(), mos.files), (3.5, 3.0, "two", 2));
        assert_eq!(summary.quality, Some(62.5));
        // 0.6 is the median of 0.5, 0.6 and 0.7.
        assert!((summary.cpu_s - 1.8).abs() < 1e-9 && (summary.speed - 100.0).abs() < 1e-6, "{summary:?}");
        assert!((summary.jobs_per_s - 2.0).abs() < 1e-9);
        let stored = summary.stored_in_all();
        assert!((stored.objects - 3.0).abs() < 1e-9 && (stored.puts - 3.0).abs() < 1e-9, "{stored:?}");
        assert!((stored.bytes - (110_000.0 / 3.0 + 65_000.0)).abs() < 1e-6, "{stored:?}");
        assert_eq!((summary.stored.get("standard"), summary.cost), (Some(&stored), None), "no prices were given");
        assert_eq!(report.corpus.left_aside["four"], "media.unreadable");
    }

    #[test]
    fn the_pareto_front_has_the_points_that_no_other_beats_in_both() {
        let report = of(vec![
            run("small", "one", 0, 10_000, Some(3.0)),
            run("middle", "one", 0, 20_000, Some(4.0)),
            run("wasteful", "one", 0, 30_000, Some(3.9)),
            run("best", "one", 0, 30_000, Some(4.5)),
        ]);
        let front: Vec<&str> = report.summaries.iter().filter(|s| s.pareto).map(|s| s.point.as_str()).collect();
        assert_eq!(front, ["small", "middle", "best"]);
    }
}
