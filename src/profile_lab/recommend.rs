//! Recommends a point for a target, with the reason in one sentence.

use super::record::{BenchReport, Class, Summary};

/// The target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At least this quality, 0 to 100, with the fewest bytes.
    Quality(f64),
    /// At least this saving in percent, with the best quality.
    Saved(f64),
}

impl Target {
    /// Parses `quality=75` or `saved=60`.
    ///
    /// # Errors
    /// If the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match (name, number(value)) {
            ("quality", Some(value)) => Ok(Self::Quality(value)),
            ("saved", Some(value)) => Ok(Self::Saved(value)),
            _ => Err("is neither quality=0…100 nor saved=0…100".to_owned()),
        }
    }
}

/// The recommendation for one class of files.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The class.
    pub class: Class,
    /// The label of the point; `None` if no point reaches the target.
    pub point: Option<String>,
    /// The reason.
    pub sentence: String,
}

/// A recommendation for each class that was measured.
#[must_use]
pub fn recommend(report: &BenchReport, target: Target) -> Vec<Choice> {
    let of = |class| report.summaries.iter().filter(|summary| summary.class == class).collect::<Vec<_>>();
    let measured = [Class::Voice, Class::Music, Class::Video].map(|class| (class, of(class)));
    measured
        .into_iter()
        .filter(|(_, points)| !points.is_empty())
        .map(|(class, points)| choose(class, &points, target))
        .collect()
}

fn choose(class: Class, points: &[&Summary], target: Target) -> Choice {
    let quality = |summary: &Summary| summary.quality.unwrap_or(0.0);
    let reaches = |summary: &Summary| match target {
        Target::Quality(least) => quality(summary) >= least,
        Target::Saved(least) => summary.saved_percent >= least,
    };
    // Compares first what the target minimises, then CPU time; smaller is better.
    let rank = |summary: &Summary| match target {
        Target::Quality(_) => (summary.saved_percent, -summary.cpu_s),
        Target::Saved(_) => (quality(summary), -summary.cpu_s),
    };
    let best = |points: Vec<&Summary>| {
        points
            .into_iter()
            .max_by(|one, other| rank(one).partial_cmp(&rank(other)).unwrap_or(std::cmp::Ordering::Equal))
            .cloned()
    };
    let wanted = match target {
        Target::Quality(least) => format!("quality {least}"),
        Target::Saved(least) => format!("{least} % saved"),
    };
    let (reaching, falling_short): (Vec<&Summary>, Vec<&Summary>) = points.iter().partition(|summary| reaches(summary));
    let Some(chosen) = best(reaching) else {
        let nearest = points.iter().max_by(|one, other| match target {
            Target::Quality(_) => quality(one).total_cmp(&quality(other)),
            Target::Saved(_) => one.saved_percent.total_cmp(&other.saved_percent),
        });
        let nearest = nearest.map_or_else(String::new, |summary| format!("; nearest is {}", described(summary)));
        return Choice { class, point: None, sentence: format!("no point reaches {wanted}{nearest}") };
    };
    let runner_up = falling_short.into_iter().filter(|other| rank(other) > rank(&chosen)).min_by(|one, other| {
        let distance = |summary: &Summary| (quality(summary) - quality(&chosen)).abs();
        distance(one).total_cmp(&distance(other))
    });
    let but = runner_up.map_or_else(String::new, |other| {
        let more = if matches!(target, Target::Quality(_)) { "smaller" } else { "better" };
        format!("; {} would be {more} but falls short: {}", other.point, figures(other))
    });
    let sentence = format!("{} reaches {wanted}: {}{but}", chosen.point, figures(&chosen));
    Choice { class, point: Some(chosen.point), sentence }
}

fn described(summary: &Summary) -> String {
    format!("{}: {}", summary.point, figures(summary))
}

/// `61 % saved, MOS 4.31 (worst 3.90, note.ogg), 120 × real time`.
fn figures(summary: &Summary) -> String {
    let metric = match summary.class {
        Class::Voice | Class::Music => ("mos", "MOS", 2),
        Class::Video => ("ssimulacra2", "SSIMULACRA 2", 1),
    };
    let score = summary.scores.get(metric.0).map_or_else(
        || ", nothing encoded".to_owned(),
        |figure| {
            let digits = metric.2;
            let (mean, worst) = (figure.mean, figure.worst);
            format!(", {} {mean:.digits$} (worst {worst:.digits$}, {})", metric.1, figure.worst_file)
        },
    );
    format!("{:.1} % saved{score}, {:.0} × real time", summary.saved_percent, summary.speed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::report::tests::{of, run};

    fn choice(target: &str) -> Choice {
        let report = of(vec![
            run("24k", "note.ogg", 0, 20_000, Some(3.6)),
            run("32k", "note.ogg", 0, 26_000, Some(4.2)),
            run("48k", "note.ogg", 0, 40_000, Some(4.6)),
        ]);
        let mut choices = recommend(&report, Target::parse(target).expect(target));
        assert_eq!(choices.len(), 1);
        choices.remove(0)
    }

    #[test]
    fn the_point_with_the_fewest_bytes_and_enough_quality_is_chosen() {
        let choice = choice("quality=75");
        assert_eq!(choice.point.as_deref(), Some("32k"));
        assert_eq!(
            choice.sentence,
            "32k reaches quality 75: 56.7 % saved, MOS 4.20 (worst 4.20, note.ogg), 120 × real time; 24k would be \
             smaller but falls short: 66.7 % saved, MOS 3.60 (worst 3.60, note.ogg), 120 × real time"
        );
    }

    #[test]
    fn the_point_with_the_best_quality_and_enough_saving_is_chosen() {
        assert_eq!(choice("saved=30").point.as_deref(), Some("48k"));
        assert_eq!(choice("saved=60").point.as_deref(), Some("24k"));
    }

    #[test]
    fn a_target_that_no_point_reaches_is_reported() {
        let choice = choice("quality=99");
        assert_eq!(choice.point, None);
        assert!(choice.sentence.starts_with("no point reaches quality 99; nearest is 48k: 33.3 % saved"), "{choice:?}");
        for wrong in ["", "quality", "quality=101", "saved=-1", "size=3"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
