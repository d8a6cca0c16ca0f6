//! Which changes of a transaction are made by the same statements: outcomes of different media, as many as there are. A statement a
//! row costs more than the row.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::change::{Change, Entry};
use super::query::clean;
use super::shared::written;

/// Most rows of one statement.
const MOST: usize = 500;

/// What is done next.
pub(super) enum Step<'a> {
    /// Outcomes of media of which each is there once: no statement of PostgreSQL may change a row twice.
    Outcomes(Vec<Outcome<'a>>),
    /// Any other change.
    Other(&'a Change),
}

/// An outcome, and its values as both databases take them.
pub(super) struct Outcome<'a> {
    pub(super) entry: &'a Entry,
    pub(super) columns: Columns,
}

/// The values of an outcome, in the order of [`INSERT`].
pub(super) struct Columns {
    pub(super) texts: [String; 5],
    pub(super) numbers: [i64; 4],
    pub(super) optional: [Option<String>; 7],
    pub(super) expires_at: Option<i64>,
    pub(super) written: String,
}

/// How many values a row of [`INSERT`] has.
pub(super) const WIDTH: usize = 18;
/// The beginning of the statement that stores outcomes; rows of values follow.
pub(super) const INSERT: &str = "INSERT INTO catalog_media AS m (tenant, media_id, state, event_id, data, standing, revision, \
     outcome_at, sent_at, kind, channel, direction, profile, code, file_name, caption, expires_at, written)";
/// Its end. It gives back what was written: a row that is newer stays as it is, and is not among them.
pub(super) const OR_UPDATE: &str = "ON CONFLICT (tenant, media_id) DO UPDATE SET state = excluded.state, \
     event_id = excluded.event_id, data = excluded.data, standing = excluded.standing, revision = excluded.revision, \
     outcome_at = excluded.outcome_at, sent_at = excluded.sent_at, kind = excluded.kind, channel = excluded.channel, \
     direction = excluded.direction, profile = excluded.profile, code = excluded.code, file_name = excluded.file_name, \
     expires_at = excluded.expires_at, \
     caption = CASE WHEN m.captioned_at IS NULL THEN excluded.caption ELSE m.caption END, \
     written = CASE WHEN m.captioned_at IS NULL THEN excluded.written ELSE m.written END \
     WHERE (excluded.standing, excluded.revision, excluded.outcome_at) >= (m.standing, m.revision, m.outcome_at) \
     RETURNING id, tenant, media_id, captioned_at, file_name, caption";

/// What [`OR_UPDATE`] gives back of a row.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) tenant: String,
    pub(super) media_id: String,
    /// Where its text was changed: the words of the outcome's own text are not those of the row.
    pub(super) captioned_at: Option<i64>,
    pub(super) file_name: Option<String>,
    pub(super) caption: Option<String>,
}

/// The columns of [`Stored`] as they are read.
pub(super) type StoredColumns = (i64, String, String, Option<i64>, Option<String>, Option<String>);

impl From<StoredColumns> for Stored {
    fn from((id, tenant, media_id, captioned_at, file_name, caption): StoredColumns) -> Self {
        Self { id, tenant, media_id, captioned_at, file_name, caption }
    }
}

/// Labels and contacts of rows, which take the place of all that the rows had.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) media: Vec<i64>,
    /// Row and label.
    pub(super) tags: Vec<(i64, String)>,
    /// Row, tenant, hash, time of the message.
    pub(super) contacts: Vec<(i64, String, String, i64)>,
}

impl Columns {
    fn of(entry: &Entry) -> Self {
        let clean_option = |text: &Option<String>| text.as_deref().map(clean);
        Self {
            texts: [
                clean(&entry.tenant),
                clean(&entry.media_id),
                entry.state.as_str().to_owned(),
                clean(&entry.event_id),
                clean(&entry.data),
            ],
            numbers: [
                entry.state.standing(),
                i64::from(entry.revision),
                entry.outcome_at.as_millisecond(),
                entry.sent_at.as_millisecond(),
            ],
            optional: [
                clean_option(&entry.kind),
                clean_option(&entry.channel),
                clean_option(&entry.direction),
                clean_option(&entry.profile),
                clean_option(&entry.code),
                clean_option(&entry.file_name),
                clean_option(&entry.caption),
            ],
            expires_at: entry.expires_at.map(Timestamp::as_millisecond),
            written: written(&entry.tenant, entry.file_name.as_deref(), entry.caption.as_deref()),
        }
    }
}

impl Outcome<'_> {
    /// Tenant and id, as they stand in the row.
    fn media(&self) -> (&str, &str) {
        (&self.columns.texts[0], &self.columns.texts[1])
    }
}

/// The changes in the order of their media, those of one media in the order in which they came. Always in the same order, so that two
/// processes do not wait for each other's rows.
pub(super) fn steps(changes: &[Change]) -> Vec<Step<'_>> {
    let mut ordered: Vec<&Change> = changes.iter().collect();
    ordered.sort_by(|a, b| a.media().cmp(&b.media()));
    let (mut steps, mut group, mut media) = (Vec::new(), Vec::new(), HashSet::new());
    for change in ordered {
        let Change::Outcome(entry) = change else {
            close(&mut group, &mut media, &mut steps);
            steps.push(Step::Other(change));
            continue;
        };
        let outcome = Outcome { entry, columns: Columns::of(entry) };
        let (tenant, media_id) = outcome.media();
        // Ids that differ may be the same once they are cleaned.
        let key = (tenant.to_owned(), media_id.to_owned());
        if group.len() == MOST || media.contains(&key) {
            close(&mut group, &mut media, &mut steps);
        }
        media.insert(key);
        group.push(outcome);
    }
    close(&mut group, &mut media, &mut steps);
    steps
}

fn close<'a>(group: &mut Vec<Outcome<'a>>, media: &mut HashSet<(String, String)>, steps: &mut Vec<Step<'a>>) {
    media.clear();
    if !group.is_empty() {
        steps.push(Step::Outcomes(std::mem::take(group)));
    }
}

impl Lists {
    /// None any more.
    pub(super) fn none(id: i64) -> Self {
        Self { media: vec![id], ..Self::default() }
    }

    /// Those of the outcomes that were stored.
    pub(super) fn of(group: &[Outcome<'_>], stored: &[Stored]) -> Self {
        let entries: HashMap<_, _> = group.iter().map(|outcome| (outcome.media(), outcome.entry)).collect();
        let mut lists = Self::default();
        for row in stored {
            let Some(entry) = entries.get(&(row.tenant.as_str(), row.media_id.as_str())) else { continue };
            lists.media.push(row.id);
            lists.tags.extend(entry.tags.iter().map(|tag| (row.id, clean(tag))));
            let sent_at = entry.sent_at.as_millisecond();
            let contacts = entry.contacts.iter().map(|hash| (row.id, row.tenant.clone(), clean(hash), sent_at));
            lists.contacts.extend(contacts);
        }
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::MediaState;
    use super::*;

    fn entry(media_id: &str) -> Entry {
        Entry {
            tenant: "acme".to_owned(),
            media_id: media_id.to_owned(),
            state: MediaState::Normalized,
            revision: 1,
            event_id: String::new(),
            outcome_at: Timestamp::UNIX_EPOCH,
            sent_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            kind: None,
            channel: None,
            direction: None,
            profile: None,
            code: None,
            file_name: None,
            caption: None,
            tags: Vec::new(),
            contacts: Vec::new(),
            data: "{}".to_owned(),
        }
    }

    fn outcome(media_id: &str) -> Change {
        Change::Outcome(Box::new(entry(media_id)))
    }

    fn shape(changes: &[Change]) -> Vec<String> {
        let name = |step: Step<'_>| match step {
            Step::Outcomes(group) => group.iter().map(|outcome| outcome.media().1).collect::<Vec<_>>().join("+"),
            Step::Other(change) => format!("({})", change.media().1),
        };
        steps(changes).into_iter().map(name).collect()
    }

    #[test]
    fn outcomes_are_stored_together_and_each_media_once() {
        let expires = |media_id: &str| Change::Expires {
            tenant: "acme".to_owned(),
            media_id: media_id.to_owned(),
            expires_at: None,
        };
        assert_eq!(shape(&[outcome("b"), outcome("a"), outcome("c")]), ["a+b+c"]);
        assert_eq!(shape(&[outcome("b"), outcome("a"), outcome("b")]), ["a+b", "b"]);
        assert_eq!(shape(&[outcome("a"), outcome("b"), expires("a"), outcome("a")]), ["a", "(a)", "a+b"]);
        // The same row in both databases, in which no text has a NUL.
        assert_eq!(shape(&[outcome("a\0"), outcome("a\u{2400}")]).len(), 2);
        let many: Vec<Change> = (0..=MOST).map(|n| outcome(&format!("m{n:04}"))).collect();
        assert_eq!(shape(&many).len(), 2);
        assert_eq!(shape(&[]), [""; 0]);
    }
}
