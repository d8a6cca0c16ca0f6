//! The index in SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};

use super::Index;
use super::change::{Change, Entry};
use super::query::{Bind, Conditions, Dialect, Filter, Place, clean};
use super::row::Row;
use super::shared::{self, Columns, Statements};
use super::words::words;
use crate::database::{DatabaseError, Sqlite};

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

    /// `secure_delete` has overwritten what was deleted; the log still has the pages as they were until it is written back.
    async fn wipe(&self) -> Result<(), DatabaseError> {
        let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(self.writer()).await;
        done.map(drop).map_err(|error| DatabaseError::of("empty its log", &error))
    }
}

const STATEMENTS: Statements = Statements {
    lists: "(SELECT json_group_array(t.tag) FROM catalog_tag t WHERE t.media = m.id) AS tags, \
            (SELECT json_group_array(h.hash) FROM catalog_contact h WHERE h.media = m.id) AS contacts",
    outcome: "INSERT INTO catalog_media AS m (tenant, media_id, state, event_id, data, standing, revision, outcome_at, sent_at, \
              kind, channel, direction, profile, code, file_name, caption, expires_at, written) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
              ON CONFLICT (tenant, media_id) DO UPDATE SET state = excluded.state, event_id = excluded.event_id, \
              data = excluded.data, standing = excluded.standing, revision = excluded.revision, \
              outcome_at = excluded.outcome_at, sent_at = excluded.sent_at, kind = excluded.kind, \
              channel = excluded.channel, direction = excluded.direction, profile = excluded.profile, \
              code = excluded.code, file_name = excluded.file_name, expires_at = excluded.expires_at, \
              caption = CASE WHEN m.captioned_at IS NULL THEN excluded.caption ELSE m.caption END, \
              written = excluded.written \
              WHERE (excluded.standing, excluded.revision, excluded.outcome_at) >= (m.standing, m.revision, m.outcome_at) \
              RETURNING id, captioned_at, file_name, caption",
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
