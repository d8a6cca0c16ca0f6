//! `report.html`, which can be opened from disk and loads only the media files next to it.

use std::io;

use serde_json::json;

use super::record::{BenchReport, Class, Run};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// How many files the page plays for each class.
const WORST: usize = 5;

/// A file with a low score, and the URLs of its versions on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Specimen {
    /// The job with its figures.
    pub run: Run,
    /// Relative URL of the original.
    pub original: String,
    /// Relative URL of the playback asset.
    pub playback: String,
    /// Relative URL of the thumbnail or waveform.
    pub picture: Option<String>,
}

/// The files of each class with the lowest scores.
#[must_use]
pub fn worst(report: &BenchReport) -> Vec<&Run> {
    let mut worst = Vec::new();
    for class in [Class::Voice, Class::Music, Class::Video] {
        let score = |run: &Run| {
            let scores = run.scores.as_ref()?;
            if class == Class::Video { scores.ssimulacra2 } else { scores.mos }
        };
        let ours = report.runs.iter().filter(|run| run.class == Some(class));
        let mut scored: Vec<(&Run, f64)> = ours.filter_map(|run| Some((run, score(run)?))).collect();
        scored.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        worst.extend(scored.into_iter().take(WORST).map(|(run, _)| run));
    }
    worst
}

/// Builds the page.
///
/// # Errors
/// If the report cannot be written as JSON.
pub fn page(report: &BenchReport, specimens: &[Specimen]) -> io::Result<String> {
    let specimens = specimens.iter().map(|specimen| {
        let Specimen { run, original, playback, picture } = specimen;
        json!({ "run": run, "original": original, "playback": playback, "picture": picture })
    });
    let data = json!({ "report": report, "specimens": specimens.collect::<Vec<_>>() });
    // No string may end the script element that contains it.
    let data = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src file: 'self'; \
         media-src file: 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>mediamill bench</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>mediamill bench</h1><p id=\"machine\"></p></header>\n<main id=\"main\"></main>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::report::tests::{of, run};

    #[test]
    fn the_worst_come_first_and_text_is_escaped() {
        let runs = (0..7).map(|n| run("crm", &format!("</script>{n}"), 0, 30_000, Some(4.0 - f64::from(n) / 10.0)));
        let report = of(runs.collect());
        let files: Vec<&str> = worst(&report).iter().map(|run| run.file.as_str()).collect();
        assert_eq!(files, [6, 5, 4, 3, 2].map(|n| format!("</script>{n}")));
        let page = page(&report, &[]).expect("a page");
        assert_eq!(page.matches("</script>").count(), 2);
    }
}
