//! `report.csv`, with a row for each class and point.

use super::record::{BenchReport, Summary};

/// The columns. All but the first two are numbers, or empty if there is no value.
const COLUMNS: [&str; 36] = [
    "class",
    "point",
    "profile_version",
    "files",
    "encoded",
    "bytes_before",
    "bytes_after",
    "saved_percent",
    "cpu_s",
    "speed",
    "jobs_per_s",
    "wall_p50_s",
    "wall_p95_s",
    "wall_p99_s",
    "peak_memory_bytes",
    "quality",
    "pareto",
    "mos",
    "mos_worst",
    "loudness_error_lu",
    "ssim",
    "ssim_worst",
    "psnr_db",
    "ssimulacra2",
    "ssimulacra2_worst",
    "objects_per_media",
    "puts_per_media",
    "stored_bytes_per_media",
    "billed_bytes_per_media",
    "days",
    "storage_per_1000",
    "requests_per_1000",
    "early_deletion_per_1000",
    "reading_per_1000",
    "cpu_per_1000",
    "total_per_1000",
];

/// The report as CSV (RFC 4180) with a header.
#[must_use]
pub fn csv(report: &BenchReport) -> String {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    for summary in &report.summaries {
        text.push_str(&row(summary).map(|field| quoted(&field)).join(","));
        text.push_str("\r\n");
    }
    text
}

fn row(summary: &Summary) -> [String; 36] {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let stored = summary.stored_in_all();
    let mean = |name: &str| number(summary.scores.get(name).map(|figure| figure.mean));
    let worst = |name: &str| number(summary.scores.get(name).map(|figure| figure.worst));
    [
        summary.class.as_str().to_owned(),
        summary.point.clone(),
        summary.profile_version.clone(),
        summary.files.to_string(),
        summary.encoded.to_string(),
        summary.bytes_before.to_string(),
        summary.bytes_after.to_string(),
        number(Some(summary.saved_percent)),
        number(Some(summary.cpu_s)),
        number(Some(summary.speed)),
        number(Some(summary.jobs_per_s)),
        number(Some(summary.wall_p50_s)),
        number(Some(summary.wall_p95_s)),
        number(Some(summary.wall_p99_s)),
        summary.peak_memory_bytes.to_string(),
        number(summary.quality),
        summary.pareto.to_string(),
        mean("mos"),
        worst("mos"),
        mean("loudness_error_lu"),
        mean("ssim"),
        worst("ssim"),
        mean("psnr_db"),
        mean("ssimulacra2"),
        worst("ssimulacra2"),
        number(Some(stored.objects)),
        number(Some(stored.puts)),
        number(Some(stored.bytes)),
        number(summary.cost.map(|cost| cost.billed_bytes_per_media)),
        summary.cost.map_or_else(String::new, |cost| cost.days.to_string()),
        number(summary.cost.map(|cost| cost.storage)),
        number(summary.cost.map(|cost| cost.requests)),
        number(summary.cost.map(|cost| cost.early_deletion)),
        number(summary.cost.map(|cost| cost.reading)),
        number(summary.cost.map(|cost| cost.cpu)),
        number(summary.cost.map(|cost| cost.total)),
    ]
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::report::tests::{of, run};

    #[test]
    fn rows_have_a_field_for_each_column() {
        let text = csv(&of(vec![run("crm video.crf=\"1,2\"", "one", 0, 30_000, Some(4.0))]));
        let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("voice,\"crm video.crf=\"\"1,2\"\"\",\"version of"), "{}", lines[1]);
        // The label and the version contain a comma each.
        assert_eq!(lines[1].matches(',').count(), COLUMNS.len() - 1 + 2);
    }
}
