//! What is looked for, and the conditions of a statement for it.

use jiff::Timestamp;

use super::change::MediaState;
use super::words::asked;

/// What rows have to be. Everything but the tenant is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose they are.
    pub tenant: String,
    /// A keyed hash of the person, the CRM's contact or the conversation.
    pub contact: Option<String>,
    /// Sent at or after.
    pub from: Option<Timestamp>,
    /// Sent before.
    pub to: Option<Timestamp>,
    /// `normalized`, `rejected` or `failed`.
    pub state: Option<MediaState>,
    /// `audio`, `video`, `image`, `document`: any of them. Empty is all.
    pub kinds: Vec<String>,
    /// `whatsapp`, …
    pub channel: Option<String>,
    /// `inbound`, `outbound`.
    pub direction: Option<String>,
    /// Name of the compression profile.
    pub profile: Option<String>,
    /// Why it was rejected or failed.
    pub code: Option<String>,
    /// Labels: all of them.
    pub tags: Vec<String>,
    /// Labels: any of them, where there is one here. For what somebody may see.
    pub any_tag: Vec<String>,
    /// Words of file name, caption and transcript, or their beginnings: all of them.
    pub text: Option<String>,
    /// What is past due at this time is not found.
    pub now: Timestamp,
}

/// A row's place in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When its message was sent, in ms since 1970.
    pub sent_at: i64,
    /// Its number.
    pub id: i64,
}

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bind {
    Text(String),
    Number(i64),
}

/// How a database asks for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A `WHERE` clause with its values. What comes from outside is a value, never text of the statement.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) sql: String,
    pub(super) binds: Vec<Bind>,
}

impl Conditions {
    /// The conditions of a filter, from after a place on. Columns are those of `m`, and of `c` where a contact is asked for.
    pub(super) fn of(filter: &Filter, after: Option<Place>, dialect: Dialect) -> Self {
        let mut all = Self::default();
        // The time column that the order goes by: with a contact it is the one of its index.
        let (time, id) = if filter.contact.is_some() { ("c.sent_at", "c.media") } else { ("m.sent_at", "m.id") };
        match &filter.contact {
            Some(contact) => {
                all.text("c.tenant = ?", &filter.tenant);
                all.text("c.hash = ?", contact);
            }
            None => all.text("m.tenant = ?", &filter.tenant),
        }
        if let Some(place) = after {
            all.number(&format!("{time} <= ?"), place.sent_at);
            let (at, of) = (all.bind(Bind::Number(place.sent_at)), all.bind(Bind::Number(place.id)));
            all.and(&format!("({time}, {id}) < ({at}, {of})"));
        }
        if let Some(from) = filter.from {
            all.number(&format!("{time} >= ?"), from.as_millisecond());
        }
        if let Some(to) = filter.to {
            all.number(&format!("{time} < ?"), to.as_millisecond());
        }
        all.and("m.state IN ('normalized', 'rejected', 'failed')");
        all.number("(m.expires_at IS NULL OR m.expires_at > ?)", filter.now.as_millisecond());
        let columns = [
            ("m.state = ?", filter.state.map(|state| state.as_str().to_owned())),
            ("m.channel = ?", filter.channel.clone()),
            ("m.direction = ?", filter.direction.clone()),
            ("m.profile = ?", filter.profile.clone()),
            ("m.code = ?", filter.code.clone()),
        ];
        for (sql, value) in columns {
            if let Some(value) = value {
                all.text(sql, &value);
            }
        }
        all.any_of("m.kind", &filter.kinds);
        for tag in &filter.tags {
            all.text("EXISTS (SELECT 1 FROM catalog_tag t WHERE t.media = m.id AND t.tag = ?)", tag);
        }
        if !filter.any_tag.is_empty() {
            let list = all.list(&filter.any_tag);
            all.and(&format!("EXISTS (SELECT 1 FROM catalog_tag t WHERE t.media = m.id AND t.tag IN ({list}))"));
        }
        if let Some(text) = &filter.text {
            all.words(&asked(&filter.tenant, text), dialect);
        }
        all
    }

    fn words(&mut self, words: &[String], dialect: Dialect) {
        if words.is_empty() {
            return self.and("1 = 0");
        }
        // Words hold letters and digits only: neither language has a sign that could be among them.
        match dialect {
            Dialect::Sqlite => {
                let all: Vec<String> = words.iter().map(|word| format!("{word}*")).collect();
                self.text("m.id IN (SELECT rowid FROM catalog_text WHERE catalog_text MATCH ?)", &all.join(" AND "));
            }
            Dialect::Postgres => {
                let all: Vec<String> = words.iter().map(|word| format!("{word}:*")).collect();
                self.text("m.words @@ CAST(? AS tsquery)", &all.join(" & "));
            }
        }
    }

    fn any_of(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            let list = self.list(values);
            self.and(&format!("{column} IN ({list})"));
        }
    }

    fn list(&mut self, values: &[String]) -> String {
        values.iter().map(|value| self.bind(Bind::Text(clean(value)))).collect::<Vec<_>>().join(", ")
    }

    fn text(&mut self, sql: &str, value: &str) {
        let place = self.bind(Bind::Text(clean(value)));
        self.and(&sql.replacen('?', &place, 1));
    }

    fn number(&mut self, sql: &str, value: i64) {
        let place = self.bind(Bind::Number(value));
        self.and(&sql.replacen('?', &place, 1));
    }

    /// The name of one more value.
    pub(super) fn bind(&mut self, value: Bind) -> String {
        self.binds.push(value);
        format!("${}", self.binds.len())
    }

    fn and(&mut self, sql: &str) {
        self.sql.push_str(if self.sql.is_empty() { "WHERE " } else { " AND " });
        self.sql.push_str(sql);
    }
}

/// A text as both databases take it: PostgreSQL has no text with a NUL, which becomes the sign for it.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_never_part_of_the_statement() {
        let evil = "x'; DROP TABLE catalog_media; --";
        let filter = Filter {
            tenant: evil.to_owned(),
            contact: Some(evil.to_owned()),
            kinds: vec![evil.to_owned()],
            channel: Some(evil.to_owned()),
            tags: vec![evil.to_owned()],
            any_tag: vec![evil.to_owned()],
            text: Some(evil.to_owned()),
            ..Filter::default()
        };
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let conditions = Conditions::of(&filter, Some(Place { sent_at: 1, id: 2 }), dialect);
            assert!(!conditions.sql.contains("DROP") && !conditions.sql.contains('?'), "{}", conditions.sql);
            let places = conditions.sql.matches('$').count();
            assert_eq!(places, conditions.binds.len(), "{}", conditions.sql);
        }
    }

    #[test]
    fn a_text_without_a_word_finds_nothing() {
        let filter = Filter { text: Some("…".to_owned()), ..Filter::default() };
        assert!(Conditions::of(&filter, None, Dialect::Sqlite).sql.contains("1 = 0"));
    }
}
