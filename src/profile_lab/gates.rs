//! Gates: limits for the figures of a report, for continuous integration.

use super::compare::Move;
use super::record::{BenchReport, Class, Gates, GatesFile, Summary};

/// Parses a gates file.
///
/// # Errors
/// What is wrong with it, with the line number.
pub fn parse(text: &str) -> Result<Gates, String> {
    toml::from_str::<GatesFile>(text).map(|file| file.gates).map_err(|error| error.to_string())
}

/// A sentence for each gate that is broken. `moves` are the changes since an older report, if there is one.
#[must_use]
pub fn broken(gates: &Gates, report: &BenchReport, moves: &[Move]) -> Vec<String> {
    let mut broken = Vec::new();
    let failed = report.runs.iter().filter(|run| run.failed).count();
    if let Some(most) = gates.failed_max.filter(|most| failed > *most as usize) {
        broken.push(format!("failed_max: {failed} jobs failed, at most {most}"));
    }
    for summary in &report.summaries {
        broken.extend(of_summary(gates, summary));
    }
    for moved in moves.iter().filter(|moved| moved.beyond_noise && moved.worse) {
        broken.extend(of_move(gates, moved));
    }
    broken
}

fn of_summary(gates: &Gates, summary: &Summary) -> Vec<String> {
    let score = |name: &str, worst: bool| summary.scores.get(name).map(|f| if worst { f.worst } else { f.mean });
    let is_sound = summary.class != Class::Video;
    let rows = [
        ("mos_min", gates.mos_min, score("mos", false).filter(|_| is_sound)),
        ("mos_worst_min", gates.mos_worst_min, score("mos", true).filter(|_| is_sound)),
        ("ssimulacra2_min", gates.ssimulacra2_min, score("ssimulacra2", false)),
        ("ssimulacra2_worst_min", gates.ssimulacra2_worst_min, score("ssimulacra2", true)),
        ("saved_percent_min", gates.saved_percent_min, Some(summary.saved_percent)),
    ];
    let too_low = rows.into_iter().filter_map(|(gate, least, value)| {
        let (least, value) = (least?, value?);
        (value < least)
            .then(|| format!("{gate}: {} {}: {value:.2}, at least {least}", summary.class.as_str(), summary.point))
    });
    too_low.collect()
}

fn of_move(gates: &Gates, moved: &Move) -> Option<String> {
    let (gate, most) = match moved.figure {
        "cpu_s" => ("cpu_growth_percent_max", gates.cpu_growth_percent_max),
        "bytes" => ("bytes_growth_percent_max", gates.bytes_growth_percent_max),
        "mos" => ("mos_fall_max", gates.mos_fall_max),
        "ssimulacra2" => ("ssimulacra2_fall_max", gates.ssimulacra2_fall_max),
        _ => return None,
    };
    let most = most.filter(|most| moved.change.abs() > *most)?;
    let (class, point, change) = (moved.class.as_str(), &moved.point, moved.change);
    Some(format!("{gate}: {class} {point}: {change:+.2} ({:+.2} to {:+.2}), at most {most}", moved.low, moved.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::compare::compare;
    use crate::profile_lab::report::tests::{of, run};

    #[test]
    fn gates_name_what_breaks_them() {
        let gates = parse(
            "[gates]\nfailed_max = 0\nmos_min = 4.0\nmos_worst_min = 3.0\nsaved_percent_min = 10\n\
             bytes_growth_percent_max = 5.0\ncpu_growth_percent_max = 1.0\n",
        )
        .expect("gates");
        let report = |bytes: u64| of(["one", "two"].map(|file| run("crm", file, 0, bytes, Some(3.5))).to_vec());
        let (old, new) = (report(30_000), report(33_000));
        let sentences = broken(&gates, &new, &compare(&old, &new));
        assert_eq!(
            sentences,
            [
                "mos_min: voice crm: 3.50, at least 4",
                "bytes_growth_percent_max: voice crm: +10.00 (+10.00 to +10.00), at most 5"
            ]
        );
        assert_eq!(broken(&gates, &new, &compare(&new, &new)).len(), 1, "nothing moved");
        assert_eq!(broken(&Gates::default(), &new, &compare(&old, &new)), [""; 0], "absent gates are not checked");
    }

    #[test]
    fn an_unknown_gate_is_an_error_with_its_line() {
        let error = parse("[gates]\nmos_minimum = 4.0\n").expect_err("unknown");
        assert!(error.contains("line 2") && error.contains("mos_minimum"), "{error}");
    }
}
