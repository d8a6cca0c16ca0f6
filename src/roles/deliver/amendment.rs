//! What is added to a media's note after it was written: a transcript, or that the message was changed or taken back.

use jiff::Timestamp;

use super::map::take;
use super::marker::marker;
use crate::events::{EDITED_TYPE, Event, REVOKED_TYPE, TRANSCRIBED_TYPE};

/// An addition. A later one takes the place of an earlier one with the same word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// `transcribed`, `edited` or `revoked`.
    pub word: &'static str,
    /// `id` of the event.
    pub event_id: String,
    /// When it was said or changed: of two, the later one counts.
    pub time: Timestamp,
    /// Text, or HTML.
    pub text: String,
    /// Whether it is HTML.
    pub is_html: bool,
}

/// A note has no room for an addition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the note would be longer than {most} with what is {word}")]
pub struct TooLong {
    most: usize,
    word: &'static str,
}

/// The note of a media, as the ledger knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    /// `note`, `task`, `media`, `ticket`, `comment` or `message`.
    pub record: &'a str,
    /// Its remote id.
    pub id: &'a str,
}

/// The word of an event that adds to a note; nothing for all others.
#[must_use]
pub fn word(event: &Event) -> Option<&'static str> {
    match event.kind.as_str() {
        TRANSCRIBED_TYPE => Some("transcribed"),
        EDITED_TYPE => Some("edited"),
        REVOKED_TYPE => Some("revoked"),
        _ => None,
    }
}

/// When an event says that it happened: the channel's time, else the event's.
pub(super) fn time_of(event: &Event) -> Timestamp {
    let said = ["edited_at", "revoked_at"].iter().find_map(|key| event.data.get(key)?.as_str()?.parse().ok());
    said.or_else(|| event.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Amendment {
    /// The beginning of the event's id, as notes have it.
    #[must_use]
    pub fn marker(&self) -> String {
        marker(&self.event_id)
    }

    /// What stands before the addition: so that it is found again, and later ones are told from earlier ones.
    fn head(&self) -> String {
        let time = self.time.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("[mediamill {} {time} {}]", self.word, self.marker().trim_start_matches("mediamill "))
    }

    fn tail(&self) -> String {
        format!("[/mediamill {}]", self.word)
    }

    /// A note's text with the addition in it: in the place of an earlier one with the same word, else at the end. Nothing where a
    /// later one, or this one, is there. Everything else of the text stays, also what people have written. `most` is the longest
    /// text, in UTF-16 code units; a plain addition is cut.
    ///
    /// # Errors
    /// [`TooLong`]
    pub fn merged(&self, body: &str, most: usize) -> Result<Option<String>, TooLong> {
        let (head, tail, open) = (self.head(), self.tail(), format!("[mediamill {} ", self.word));
        // The last one: where somebody has cut an end away, a new one stands behind it.
        let known = body.rfind(&open).and_then(|start| {
            let end = body.get(start..)?.find(&tail)?.checked_add(start)?.checked_add(tail.len())?;
            Some((start, end))
        });
        let (before, after, wrap) = match known {
            Some((start, end)) => {
                let is_later =
                    |text: &str| text.parse::<Timestamp>().is_ok_and(|time| time.as_second() > self.time.as_second());
                let there = body.get(start + open.len()..end).and_then(|text| text.split(' ').next());
                if body.get(start..).is_some_and(|text| text.starts_with(&head)) || there.is_some_and(is_later) {
                    return Ok(None);
                }
                (body.get(..start).unwrap_or_default(), body.get(end..).unwrap_or_default(), ("", ""))
            }
            None if self.is_html => (body, "", ("<p><small>", "</small></p>")),
            None => (body, "", ("\n\n", "")),
        };
        let inner = if self.is_html { ("</small></p>", "<p><small>") } else { ("\n", "\n") };
        let whole = |text: &str| format!("{before}{}{head}{}{text}{}{tail}{}{after}", wrap.0, inner.0, inner.1, wrap.1);
        let over = whole(&self.text).encode_utf16().count().saturating_sub(most);
        if over == 0 {
            return Ok(Some(whole(&self.text)));
        }
        let kept = self.text.encode_utf16().count().saturating_sub(over);
        if self.is_html || kept == 0 {
            return Err(TooLong { most, word: self.word });
        }
        Ok(Some(whole(&take(&self.text, kept))))
    }

    /// The addition as a note of its own, for destinations whose notes cannot be changed.
    #[must_use]
    pub fn alone(&self) -> String {
        let marker = self.marker();
        if self.is_html {
            format!("{}<p><small>{marker}</small></p>", self.text)
        } else {
            format!("{}\n\n{marker}", self.text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(event_id: &str, time_s: i64, text: &str, is_html: bool) -> Amendment {
        let time = Timestamp::from_second(time_s).expect("a time");
        Amendment { word: "transcribed", event_id: event_id.to_owned(), time, text: text.to_owned(), is_html }
    }

    #[test]
    fn a_later_addition_takes_the_place_of_an_earlier_one_and_people_keep_their_words() {
        for is_html in [false, true] {
            let first = said("aaaaaaaaaaaa", 100, "good day", is_html);
            let body = first.merged("note", 1000).expect("fits").expect("new");
            assert!(body.starts_with("note") && body.contains("good day"), "{body}");
            assert_eq!(first.merged(&body, 1000), Ok(None), "once");
            let body = format!("{body} agent's words");
            let later =
                said("bbbbbbbbbbbb", 200, "good night", is_html).merged(&body, 1000).expect("fits").expect("new");
            assert!(later.contains("good night") && !later.contains("good day"), "{later}");
            assert!(later.starts_with("note") && later.ends_with(" agent's words"), "{later}");
            assert_eq!(first.merged(&later, 1000), Ok(None), "an earlier one that comes later is left out");
            let same =
                said("cccccccccccc", 200, "good evening", is_html).merged(&later, 1000).expect("fits").expect("new");
            assert!(same.contains("good evening") && same.matches("[/mediamill transcribed]").count() == 1, "{same}");
            let edited = Amendment { word: "edited", ..first.clone() }.merged(&same, 1000).expect("fits").expect("new");
            assert!(edited.contains("good evening") && edited.contains("good day"), "{edited}");
        }
    }

    #[test]
    fn a_plain_addition_is_cut_and_html_is_not() {
        let long = "x".repeat(500);
        let body = said("a", 1, &long, false).merged("note", 200).expect("fits").expect("new");
        assert!(body.encode_utf16().count() <= 200 && body.ends_with("[/mediamill transcribed]"), "{body}");
        assert!(said("a", 1, &long, true).merged("note", 200).is_err());
        let broken = "note [mediamill transcribed 1970-01-01T00:00:01Z a] and no end";
        let body = said("b", 2, "new", false).merged(broken, 500).expect("fits").expect("new");
        assert!(body.starts_with(broken), "{body}");
    }
}
