//! The index in PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Transaction};

use super::Index;
use super::batch::{self, Lists, Outcome, Step, Stored, StoredColumns};
use super::change::Change;
use super::named::{named, signed};
use super::query::{Bind, Conditions, Dialect, Filter, Place, clean};
use super::row::Row;
use super::shared::{self, Statements};
use super::words::words;
use crate::database::DatabaseError;
use crate::privacy::audit::{AuditIndex, AuditPlace, IndexError, Named};

/// The index in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresIndex(PgPool);

impl PostgresIndex {
    pub(super) const fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    const fn writer(&self) -> &PgPool {
        &self.0
    }

    const fn readers(&self) -> &PgPool {
        &self.0
    }

    /// Stores outcomes, and gives back the rows that were written.
    async fn put(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        group: &[Outcome<'_>],
    ) -> Result<Vec<Stored>, sqlx::Error> {
        let columns = || group.iter().map(|outcome| &outcome.columns);
        let sql = format!("{} SELECT * FROM UNNEST({TYPES}) {}", batch::INSERT, batch::OR_UPDATE);
        let mut statement = sqlx::query_as::<_, StoredColumns>(AssertSqlSafe(sql));
        for n in 0..5 {
            statement = statement.bind(columns().map(|columns| columns.texts[n].as_str()).collect::<Vec<_>>());
        }
        for n in 0..4 {
            statement = statement.bind(columns().map(|columns| columns.numbers[n]).collect::<Vec<_>>());
        }
        for n in 0..7 {
            statement = statement.bind(columns().map(|columns| columns.optional[n].as_deref()).collect::<Vec<_>>());
        }
        let statement = statement.bind(columns().map(|columns| columns.expires_at).collect::<Vec<_>>());
        let statement = statement.bind(columns().map(|columns| columns.written.as_str()).collect::<Vec<_>>());
        Ok(statement.fetch_all(&mut **transaction).await?.into_iter().map(Stored::from).collect())
    }

    /// Gives rows these labels and contacts, and no others.
    async fn replace_lists(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        lists: &Lists,
    ) -> Result<(), sqlx::Error> {
        for sql in
            ["DELETE FROM catalog_tag WHERE media = ANY($1)", "DELETE FROM catalog_contact WHERE media = ANY($1)"]
        {
            sqlx::query(sql).bind(&lists.media).execute(&mut **transaction).await?;
        }
        if !lists.tags.is_empty() {
            let (media, tags): (Vec<i64>, Vec<&str>) =
                lists.tags.iter().map(|(media, tag)| (*media, tag.as_str())).unzip();
            let sql = "INSERT INTO catalog_tag (media, tag) SELECT * FROM UNNEST($1::bigint[], $2::text[]) \
                       ON CONFLICT DO NOTHING";
            sqlx::query(sql).bind(media).bind(tags).execute(&mut **transaction).await?;
        }
        if !lists.contacts.is_empty() {
            let sql = "INSERT INTO catalog_contact (media, tenant, hash, sent_at) \
                       SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";
            let rows = || lists.contacts.iter();
            let statement = sqlx::query(sql)
                .bind(rows().map(|row| row.0).collect::<Vec<_>>())
                .bind(rows().map(|row| row.1.as_str()).collect::<Vec<_>>())
                .bind(rows().map(|row| row.2.as_str()).collect::<Vec<_>>())
                .bind(rows().map(|row| row.3).collect::<Vec<_>>());
            statement.execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Notes which segments of the audit log name whom.
    async fn put_named(&self, transaction: &mut Transaction<'_, Postgres>, named: &[Named]) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO catalog_audit (tenant, about, segment) \
                   SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";
        let statement = sqlx::query(sql)
            .bind(named.iter().map(|named| clean(&named.tenant)).collect::<Vec<_>>())
            .bind(named.iter().map(|named| clean(&named.about)).collect::<Vec<_>>())
            .bind(named.iter().map(|named| signed(named.segment)).collect::<Vec<_>>());
        statement.execute(&mut **transaction).await.map(drop)
    }

    /// Dead rows, and their words in the index, stay in the files until they are vacuumed away.
    async fn wipe(&self) -> Result<(), DatabaseError> {
        for sql in ["VACUUM catalog_media", "VACUUM catalog_contact", "VACUUM catalog_tag"] {
            let done = sqlx::query(sql).execute(&self.0).await;
            done.map_err(|error| DatabaseError::of("vacuum its tables", &error))?;
        }
        Ok(())
    }
}

/// The types of the columns of an outcome, as arrays.
const TYPES: &str = "$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], \
     $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::bigint[], \
     $18::text[]";

const STATEMENTS: Statements = Statements {
    lists: "(SELECT json_agg(t.tag)::text FROM catalog_tag t WHERE t.media = m.id) AS tags, \
            (SELECT json_agg(h.hash)::text FROM catalog_contact h WHERE h.media = m.id) AS contacts",
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

shared::index!(PostgresIndex, sqlx::Postgres, PgRow, Dialect::Postgres, STATEMENTS);
named!(PostgresIndex);
