//! The catalogue: its index on both databases, the role that fills it, and the doors to it.

mod api;
mod audited;
mod backup;
mod faults;
mod index;
pub(crate) mod role;
mod scale;

use std::sync::Arc;

use jiff::Timestamp;
use mediamill::database::{Address, Database, OpenOptions};
use mediamill::roles::catalog::index::{Change, Entry, Index, MIGRATIONS, MediaState, index};

use crate::support::postgres;

pub(crate) const OPTIONS: OpenOptions = OpenOptions { connections: 4 };

/// A new, empty index.
pub(crate) struct Empty {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) index: Arc<dyn Index>,
    /// Where the SQLite file is.
    pub(crate) dir: tempfile::TempDir,
}

impl Empty {
    pub(crate) async fn at(name: &'static str, url: String, dir: tempfile::TempDir) -> Self {
        let address = Address::parse(&url).expect("an address");
        let database = Database::open(&address, OPTIONS, &MIGRATIONS).await.expect("opened");
        Self { name, url, index: index(database), dir }
    }

    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}/catalog.db", dir.path().display());
        Self::at("sqlite", url, dir).await
    }
}

/// One on each database that there is here.
pub(crate) async fn both() -> Vec<Empty> {
    let mut all = vec![Empty::sqlite().await];
    if let Some(server) = postgres::server() {
        all.push(Empty::at("postgres", server.database(), tempfile::tempdir().expect("a directory")).await);
    }
    all
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

/// A voice note that was sent so many seconds after the beginning of the tests' time.
pub(crate) fn entry(media_id: &str, second: i64) -> Entry {
    Entry {
        tenant: "acme".to_owned(),
        media_id: media_id.to_owned(),
        state: MediaState::Normalized,
        revision: 1,
        event_id: format!("event-{media_id}"),
        outcome_at: at(second + 1),
        sent_at: at(second),
        expires_at: None,
        kind: Some("audio".to_owned()),
        channel: Some("whatsapp".to_owned()),
        direction: Some("inbound".to_owned()),
        profile: Some("crm".to_owned()),
        code: None,
        file_name: None,
        caption: None,
        tags: Vec::new(),
        contacts: vec!["c0ffee".to_owned()],
        data: "{}".to_owned(),
    }
}

pub(crate) fn outcome(entry: Entry) -> Change {
    Change::Outcome(Box::new(entry))
}
