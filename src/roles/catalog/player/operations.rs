//! The page of an operator: what is stored, what waits for somebody, and how far erasures are.

use jiff::Timestamp;

use super::document;
use super::html::{text, time};

/// An erasure that was begun this long ago is shown as late.
const LATE_S: i64 = 3600;

/// A row of dead letters.
#[derive(Debug, Clone)]
pub(in crate::roles::catalog) struct DeadLetterQueue {
    /// The queue's name.
    pub(in crate::roles::catalog) queue: String,
    /// Why they are there.
    pub(in crate::roles::catalog) reason: String,
    /// What this means.
    pub(in crate::roles::catalog) meaning: &'static str,
    /// The queue that they return to.
    pub(in crate::roles::catalog) back_to: String,
    /// How many.
    pub(in crate::roles::catalog) count: u32,
}

/// An erasure without a certificate.
#[derive(Debug, Clone)]
pub(in crate::roles::catalog) struct Begun {
    /// Its number.
    pub(in crate::roles::catalog) number: String,
    /// Whose media.
    pub(in crate::roles::catalog) tenant: String,
    /// What was asked for: `media`, `contact`, `conversation` or `due`.
    pub(in crate::roles::catalog) selected_by: &'static str,
    /// When.
    pub(in crate::roles::catalog) requested_at: Timestamp,
    /// How many media it has found, once it has looked.
    pub(in crate::roles::catalog) media: Option<usize>,
    /// How many of them are held for a case.
    pub(in crate::roles::catalog) held: usize,
}

/// What the page shows. What could not be asked is nothing, and the page says so.
#[derive(Debug, Default)]
pub(in crate::roles::catalog) struct Operations {
    /// Media in the index, by state.
    pub(in crate::roles::catalog) counts: Vec<(String, u64)>,
    /// Dead letters.
    pub(in crate::roles::catalog) letters: Option<Vec<DeadLetterQueue>>,
    /// Dead letters that were not looked at, since there are so many.
    pub(in crate::roles::catalog) more_letters: u64,
    /// Requests that no lane is bound for.
    pub(in crate::roles::catalog) unrouted: u32,
    /// Erasures without a certificate.
    pub(in crate::roles::catalog) erasures: Option<Vec<Begun>>,
    /// How many messages were moved back just now.
    pub(in crate::roles::catalog) replayed: Option<u32>,
}

/// The page.
pub(in crate::roles::catalog) fn operations_page(operations: &Operations, now: Timestamp) -> String {
    let replayed = operations.replayed.map(|count| {
        let what = if count == 1 {
            "1 message was moved back".to_owned()
        } else {
            format!("{count} messages were moved back")
        };
        format!("<p class=\"told\" role=\"status\">{what}.</p>")
    });
    let body = format!(
        "<main><h1>Operations</h1>{}<h2>Media in the index</h2>{}<h2>Dead letters</h2>{}<h2>Erasures that are not finished</h2>{}\
         <p class=\"note\">As of {}.</p></main>",
        replayed.unwrap_or_default(),
        counts(&operations.counts),
        letters(operations),
        erasures(operations.erasures.as_deref(), now),
        time(now),
    );
    document("Operations", &body)
}

fn counts(counts: &[(String, u64)]) -> String {
    if counts.is_empty() {
        return "<p class=\"note\">Nothing is stored yet.</p>".to_owned();
    }
    let items = counts.iter().map(|(state, count)| format!("<div><dt>{}</dt><dd>{count}</dd></div>", text(state)));
    format!("<dl>{}</dl>", items.collect::<String>())
}

fn letters(operations: &Operations) -> String {
    let Some(letters) = &operations.letters else {
        return "<p class=\"note\">The broker does not answer: nobody knows what waits there.</p>".to_owned();
    };
    let rows: String = letters.iter().map(row).collect();
    let table = if rows.is_empty() {
        "<p class=\"note\">Nothing waits.</p>".to_owned()
    } else {
        format!(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Dead letters\"><table><thead><tr><th scope=\"col\">Why</th>\
             <th scope=\"col\">Messages</th><th scope=\"col\">Back to</th><th scope=\"col\">Replay</th></tr></thead><tbody>{rows}</tbody>\
             </table></div><p class=\"note\">Mend the cause first: a message that fails again comes back here.</p>"
        )
    };
    let more = (operations.more_letters > 0)
        .then(|| format!("<p class=\"note\">{} more were not looked at.</p>", operations.more_letters));
    let unrouted = (operations.unrouted > 0).then(|| {
        format!(
            "<p class=\"note\">{} requests have a routing key that no lane is bound for: <code>mediamill replay --unrouted --list</code> \
             names the keys.</p>",
            operations.unrouted
        )
    });
    format!("{table}{}{}", more.unwrap_or_default(), unrouted.unwrap_or_default())
}

fn row(letters: &DeadLetterQueue) -> String {
    let DeadLetterQueue { queue, reason, meaning, back_to, count } = letters;
    let (queue, reason) = (text(queue), text(reason));
    format!(
        "<tr><th scope=\"row\"><code>{reason}</code><br><small>{}</small></th><td>{count}</td><td><code>{}</code></td><td>\
         <form method=\"post\" action=\"operations/replays\"><input type=\"hidden\" name=\"queue\" value=\"{queue}\">\
         <input type=\"hidden\" name=\"reason\" value=\"{reason}\"><button aria-label=\"Replay {reason} of {queue}\">Replay</button>\
         </form></td></tr>",
        text(meaning),
        text(back_to),
    )
}

fn erasures(erasures: Option<&[Begun]>, now: Timestamp) -> String {
    let Some(erasures) = erasures else {
        return "<p class=\"note\">The store does not answer: nobody knows how far erasures are.</p>".to_owned();
    };
    if erasures.is_empty() {
        return "<p class=\"note\">None: every erasure that was asked for has its certificate.</p>".to_owned();
    }
    let rows: String = erasures.iter().map(|begun| erasure(begun, now)).collect();
    format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Erasures that are not finished\"><table><thead><tr>\
         <th scope=\"col\">Number</th><th scope=\"col\">Tenant</th><th scope=\"col\">Asked for</th><th scope=\"col\">Media</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn erasure(begun: &Begun, now: Timestamp) -> String {
    let is_late = now.duration_since(begun.requested_at).as_secs() >= LATE_S;
    let late = if is_late { "<br><strong>late: is <code>mediamill privacy</code> running?</strong>" } else { "" };
    let media = match (begun.media, begun.held) {
        (None, _) => "not looked for yet".to_owned(),
        (Some(media), 0) => media.to_string(),
        (Some(media), held) => format!("{media}, of which {held} are held for a case and stay"),
    };
    format!(
        "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{} by {}{late}</td><td>{media}</td></tr>",
        text(&begun.number),
        text(&begun.tenant),
        time(begun.requested_at),
        text(begun.selected_by),
    )
}
