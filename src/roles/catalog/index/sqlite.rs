//! The index in SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, Sqlite as Database, SqlitePool, Transaction};

use super::Index;
use super::batch::{self, Lists, Outcome, Step, Stored, StoredColumns};
use super::change::Change;
use super::named::{named, signed};
use super::query::{Bind, Conditions, Dialect, Filter, Place, clean};
use super::row::Row;
use super::shared::{self, Statements};
use super::words::words;
use crate::database::{DatabaseError, Sqlite};
use crate::privacy::audit::{AuditIndex, AuditPlace, IndexError, Named};

/// The index in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteIndex(Sqlite);

impl SqliteIndex {
    pub(super) const fn new(database: Sqlite) -> Self {
        Self(database)
    }

    const fn writer(&self) -> &SqlitePool {
        self.0.writer()
    }

    const fn readers(&self) -> &SqlitePool {
        self.0.readers()
    }

    /// Stores outcomes, and gives back the rows that were written.
    async fn put(
        &self,
        transaction: &mut Transaction<'_, Database>,
        group: &[Outcome<'_>],
    ) -> Result<Vec<Stored>, sqlx::Error> {
        let mut stored = Vec::with_capacity(group.len());
        for part in parts(group) {
            let sql = format!("{} VALUES {} {}", batch::INSERT, places(part.len(), batch::WIDTH), batch::OR_UPDATE);
            let mut statement = sqlx::query_as::<_, StoredColumns>(AssertSqlSafe(sql));
            for Outcome { columns, .. } in part {
                for text in &columns.texts {
                    statement = statement.bind(text);
                }
                for number in columns.numbers {
                    statement = statement.bind(number);
                }
                for text in &columns.optional {
                    statement = statement.bind(text);
                }
                statement = statement.bind(columns.expires_at).bind(&columns.written);
            }
            stored.extend(statement.fetch_all(&mut **transaction).await?.into_iter().map(Stored::from));
        }
        Ok(stored)
    }

    /// Gives rows these labels and contacts, and no others.
    async fn replace_lists(
        &self,
        transaction: &mut Transaction<'_, Database>,
        lists: &Lists,
    ) -> Result<(), sqlx::Error> {
        for part in parts(&lists.media) {
            for table in ["catalog_tag", "catalog_contact"] {
                let sql = format!("DELETE FROM {table} WHERE media IN {}", places(1, part.len()));
                let statement = sqlx::query(AssertSqlSafe(sql));
                let statement = part.iter().fold(statement, |statement, media| statement.bind(*media));
                statement.execute(&mut **transaction).await?;
            }
        }
        for part in parts(&lists.tags) {
            let sql = format!("INSERT OR IGNORE INTO catalog_tag (media, tag) VALUES {}", places(part.len(), 2));
            let mut statement = sqlx::query(AssertSqlSafe(sql));
            for (media, tag) in part {
                statement = statement.bind(*media).bind(tag);
            }
            statement.execute(&mut **transaction).await?;
        }
        for part in parts(&lists.contacts) {
            let rows = places(part.len(), 4);
            let sql = format!("INSERT OR IGNORE INTO catalog_contact (media, tenant, hash, sent_at) VALUES {rows}");
            let mut statement = sqlx::query(AssertSqlSafe(sql));
            for (media, tenant, hash, sent_at) in part {
                statement = statement.bind(*media).bind(tenant).bind(hash).bind(*sent_at);
            }
            statement.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Notes which segments of the audit log name whom.
    async fn put_named(&self, transaction: &mut Transaction<'_, Database>, named: &[Named]) -> Result<(), sqlx::Error> {
        for part in parts(named) {
            let rows = places(part.len(), 3);
            let sql = format!("INSERT OR IGNORE INTO catalog_audit (tenant, about, segment) VALUES {rows}");
            let mut statement = sqlx::query(AssertSqlSafe(sql));
            for Named { tenant, about, segment } in part {
                statement = statement.bind(clean(tenant)).bind(clean(about)).bind(signed(*segment));
            }
            statement.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// `secure_delete` has overwritten what was deleted; the log still has the pages as they were until it is written back.
    async fn wipe(&self) -> Result<(), DatabaseError> {
        const EMPTY: &str = "empty its log";
        let done = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(self.writer()).await;
        match done.map_err(|error| DatabaseError::of(EMPTY, &error))? {
            0 => Ok(()),
            _ => Err(DatabaseError::Unavailable { action: EMPTY, detail: "somebody is reading".to_owned() }),
        }
    }
}

/// Rows of one statement: these sizes alone, so that the connection keeps the statements prepared.
const SIZES: [usize; 3] = [50, 10, 1];

/// A list in parts of [`SIZES`], the larger ones first.
fn parts<T>(list: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (part, more) = rest.split_at(size);
        rest = more;
        Some(part)
    })
}

/// Places of values: so many rows of so many. Places without numbers: SQLite would look up each number among all.
fn places(rows: usize, width: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    vec![row; rows].join(",")
}

const STATEMENTS: Statements = Statements {
    lists: "(SELECT json_group_array(t.tag) FROM catalog_tag t WHERE t.media = m.id) AS tags, \
            (SELECT json_group_array(h.hash) FROM catalog_contact h WHERE h.media = m.id) AS contacts",
    erased: "INSERT INTO catalog_media (tenant, media_id, state, standing, revision, event_id, outcome_at, sent_at, \
             certificate, data) VALUES ($1, $2, 'erased', 4, 0, '', $4, $4, $3, 'null') \
             ON CONFLICT (tenant, media_id) DO UPDATE SET state = 'erased', standing = 4, revision = 0, event_id = '', \
             outcome_at = excluded.outcome_at, sent_at = excluded.sent_at, expires_at = NULL, kind = NULL, channel = NULL, \
             direction = NULL, profile = NULL, code = NULL, file_name = NULL, caption = NULL, captioned_at = NULL, \
             transcript = NULL, transcribed_at = NULL, written = '', spoken = '', certificate = excluded.certificate, \
             data = 'null' WHERE catalog_media.state <> 'erased' RETURNING id",
    captioned: "INSERT INTO catalog_media AS m (tenant, media_id, state, standing, revision, event_id, outcome_at, sent_at, \
                caption, written, captioned_at, data) VALUES ($1, $2, 'waiting', 0, 0, '', $5, $5, $3, $4, $5, 'null') \
                ON CONFLICT (tenant, media_id) DO UPDATE SET caption = excluded.caption, written = excluded.written, \
                captioned_at = excluded.captioned_at \
                WHERE m.state <> 'erased' AND (m.captioned_at IS NULL OR m.captioned_at < excluded.captioned_at)",
    transcribed: "INSERT INTO catalog_media AS m (tenant, media_id, state, standing, revision, event_id, outcome_at, \
                  sent_at, transcript, spoken, transcribed_at, data) \
                  VALUES ($1, $2, 'waiting', 0, 0, '', $5, $5, $3, $4, $5, 'null') \
                  ON CONFLICT (tenant, media_id) DO UPDATE SET transcript = excluded.transcript, \
                  spoken = excluded.spoken, transcribed_at = excluded.transcribed_at \
                  WHERE m.state <> 'erased' AND (m.transcribed_at IS NULL OR m.transcribed_at < excluded.transcribed_at)",
};

shared::index!(SqliteIndex, sqlx::Sqlite, SqliteRow, Dialect::Sqlite, STATEMENTS);
named!(SqliteIndex);
