//! `index.html`, which shows all results of a run. It can be opened from disk and loads nothing from elsewhere.

mod card;
mod html;

use super::super::units;
use super::FinishedFile;
use super::table::Totals;
use crate::roles::worker::Outcome;
use html::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// With more files than this, players do not read their files before people start them.
const EAGER_FILES: usize = 300;

/// The page about these files.
pub(super) fn page(done: &[FinishedFile]) -> String {
    let preload = if done.len() <= EAGER_FILES { "metadata" } else { "none" };
    let cards: String = done.iter().map(|done| card::card(done, preload)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src file: http: https: 'self'; \
         media-src file: http: https: 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>mediamill: {count} files</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>mediamill</h1>\n{summary}{filters}</header>\n<main>\n{cards}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        count = done.len(),
        summary = summary(done),
        filters = filters(done),
    )
}

fn summary(done: &[FinishedFile]) -> String {
    let Totals { normalized, rejected, failed, bytes_before, bytes_after } = Totals::of(done);
    let mut html = "<dl class=\"totals\">".to_owned();
    let mut figure = |name: &str, value: &str| {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(value)));
    };
    figure("normalized", &normalized.to_string());
    figure("rejected", &rejected.to_string());
    if failed > 0 {
        figure("failed", &failed.to_string());
    }
    figure("before", &units::bytes(bytes_before));
    figure("after", &units::bytes(bytes_after));
    let saved = units::saved(bytes_before, bytes_after);
    match saved.strip_prefix('-') {
        Some(grown) => figure("larger", grown),
        None => figure("saved", &saved),
    }
    html.push_str("</dl>\n");
    html
}

/// A button for each word that marks cards, in the order of the first card with it.
fn filters(done: &[FinishedFile]) -> String {
    let mut html = "<nav aria-label=\"Show\"><button aria-pressed=\"true\" data-show=\"\">all</button>".to_owned();
    for word in ["audio", "video", "image", "document", "rejected", "failed"] {
        let count = done.iter().filter(|done| mark(&done.outcome) == word).count();
        if count > 0 {
            let button = format!("<button aria-pressed=\"false\" data-show=\"{word}\">{word} <i>{count}</i></button>");
            html.push_str(&button);
        }
    }
    html.push_str("</nav>\n");
    html
}

/// The word by which cards are filtered.
fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Normalized(manifest) => manifest.data.kind.as_str(),
        Outcome::Rejected(_) | Outcome::Failed(_) => outcome.as_str(),
    }
}
