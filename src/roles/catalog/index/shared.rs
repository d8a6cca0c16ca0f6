//! How both modules of statements carry them out: the same steps, each with its own database's statements and types.

use jiff::Timestamp;
use serde_json::Value;

use super::change::MediaState;
use super::query::Place;
use super::row::Row;
use super::words::words;
use crate::database::DatabaseError;

pub(super) const APPLY: &str = "store changes of the index";
pub(super) const READ: &str = "answer a search";

/// The statements of one database.
#[derive(Debug)]
pub(super) struct Statements {
    /// The columns of a row's labels and contacts, each as a JSON array or null.
    pub(super) lists: &'static str,
    /// Tenant, media id, certificate, time.
    pub(super) erased: &'static str,
    /// Tenant, media id, caption, words of file name and caption, time.
    pub(super) captioned: &'static str,
    /// Tenant, media id, transcript, words of it, time.
    pub(super) transcribed: &'static str,
}

/// A time as it stands in a row that was not written by this program's own functions: outside of what there is, the nearest.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// The words of what is written about a media.
pub(super) fn written(tenant: &str, file_name: Option<&str>, caption: Option<&str>) -> String {
    words(tenant, file_name.into_iter().chain(caption))
}

/// What a row is read from, column by column.
pub(super) trait Source {
    fn text(&self, column: &'static str) -> Result<String, DatabaseError>;
    fn optional(&self, column: &'static str) -> Result<Option<String>, DatabaseError>;
    fn number(&self, column: &'static str) -> Result<i64, DatabaseError>;
    fn optional_number(&self, column: &'static str) -> Result<Option<i64>, DatabaseError>;
}

fn list(json: Option<String>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

/// A row.
pub(super) fn row(source: &impl Source) -> Result<Row, DatabaseError> {
    let data = source.text("data")?;
    let place = Place { sent_at: source.number("sent_at")?, id: source.number("id")? };
    Ok(Row {
        tenant: source.text("tenant")?,
        media_id: source.text("media_id")?,
        // A state that a later version wrote is one that nobody is shown.
        state: MediaState::parse(&source.text("state")?).unwrap_or(MediaState::Waiting),
        revision: source.number("revision")?,
        outcome_at: timestamp(source.number("outcome_at")?),
        sent_at: timestamp(place.sent_at),
        expires_at: source.optional_number("expires_at")?.map(timestamp),
        kind: source.optional("kind")?,
        channel: source.optional("channel")?,
        direction: source.optional("direction")?,
        profile: source.optional("profile")?,
        code: source.optional("code")?,
        file_name: source.optional("file_name")?,
        caption: source.optional("caption")?,
        transcript: source.optional("transcript")?,
        certificate: source.optional("certificate")?,
        tags: list(source.optional("tags")?),
        contacts: list(source.optional("contacts")?),
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        place,
    })
}

/// The columns that [`row`] reads.
pub(super) const COLUMNS: &str = "m.id, m.tenant, m.media_id, m.state, m.revision, m.outcome_at, m.sent_at, m.expires_at, \
     m.kind, m.channel, m.direction, m.profile, m.code, m.file_name, m.caption, m.certificate, m.data";
/// The whole transcript, and the beginning of it for lists.
pub(super) const TRANSCRIPT: [&str; 2] = ["m.transcript", "substr(m.transcript, 1, 500) AS transcript"];

/// Writes the index for one database: `$index` has `writer()` and `readers()`, which are pools of `$database`; `put()`, which stores
/// outcomes, and `replace_lists()`.
macro_rules! index {
    ($index:ident, $database:ty, $row:ty, $dialect:expr, $statements:ident) => {
        impl $crate::roles::catalog::index::shared::Source for $row {
            fn text(&self, column: &'static str) -> Result<String, DatabaseError> {
                self.try_get(column).map_err(|error| DatabaseError::of(shared::READ, &error))
            }

            fn optional(&self, column: &'static str) -> Result<Option<String>, DatabaseError> {
                self.try_get(column).map_err(|error| DatabaseError::of(shared::READ, &error))
            }

            fn number(&self, column: &'static str) -> Result<i64, DatabaseError> {
                self.try_get(column).map_err(|error| DatabaseError::of(shared::READ, &error))
            }

            fn optional_number(&self, column: &'static str) -> Result<Option<i64>, DatabaseError> {
                self.try_get(column).map_err(|error| DatabaseError::of(shared::READ, &error))
            }
        }

        impl $index {
            /// Makes any change but an outcome within a transaction. How many rows it has changed.
            async fn change(
                &self,
                transaction: &mut sqlx::Transaction<'_, $database>,
                change: &Change,
            ) -> Result<u64, sqlx::Error> {
                match change {
                    // Outcomes are stored together.
                    Change::Outcome(_) => Ok(0),
                    Change::Erased { tenant, media_id, certificate, erased_at } => {
                        let id = sqlx::query_scalar::<_, i64>($statements.erased)
                            .bind(clean(tenant))
                            .bind(clean(media_id))
                            .bind(clean(certificate))
                            .bind(erased_at.as_millisecond())
                            .fetch_optional(&mut **transaction)
                            .await?;
                        let Some(id) = id else { return Ok(0) };
                        self.replace_lists(transaction, &Lists::none(id)).await?;
                        Ok(1)
                    }
                    Change::Captioned { tenant, media_id, caption, captioned_at } => {
                        let (tenant, media_id) = (clean(tenant), clean(media_id));
                        let name = "SELECT file_name FROM catalog_media WHERE tenant = $1 AND media_id = $2";
                        let name = sqlx::query_scalar::<_, Option<String>>(name).bind(&tenant).bind(&media_id);
                        let name = name.fetch_optional(&mut **transaction).await?.flatten();
                        let caption = caption.as_deref().map(clean);
                        let written = shared::written(&tenant, name.as_deref(), caption.as_deref());
                        let statement = sqlx::query($statements.captioned).bind(tenant).bind(media_id).bind(caption);
                        let statement = statement.bind(written).bind(captioned_at.as_millisecond());
                        statement.execute(&mut **transaction).await.map(|done| done.rows_affected())
                    }
                    Change::Transcribed { tenant, media_id, text, transcribed_at } => {
                        let spoken = words(tenant, [text.as_str()]);
                        let statement = sqlx::query($statements.transcribed).bind(clean(tenant)).bind(clean(media_id));
                        let statement = statement.bind(clean(text)).bind(spoken).bind(transcribed_at.as_millisecond());
                        statement.execute(&mut **transaction).await.map(|done| done.rows_affected())
                    }
                    Change::Expires { tenant, media_id, expires_at } => {
                        let sql = "UPDATE catalog_media SET expires_at = $3 \
                                   WHERE tenant = $1 AND media_id = $2 AND state <> 'erased'";
                        let statement = sqlx::query(sql).bind(clean(tenant)).bind(clean(media_id));
                        let statement = statement.bind(expires_at.map(Timestamp::as_millisecond));
                        statement.execute(&mut **transaction).await.map(|done| done.rows_affected())
                    }
                }
            }

            /// Stores outcomes of different media. How many rows it has changed.
            async fn outcomes(
                &self,
                transaction: &mut sqlx::Transaction<'_, $database>,
                group: &[Outcome<'_>],
            ) -> Result<u64, sqlx::Error> {
                let stored = self.put(transaction, group).await?;
                for row in stored.iter().filter(|row| row.captioned_at.is_some()) {
                    let words = shared::written(&row.tenant, row.file_name.as_deref(), row.caption.as_deref());
                    let sql = "UPDATE catalog_media SET written = $2 WHERE id = $1";
                    sqlx::query(sql).bind(row.id).bind(words).execute(&mut **transaction).await?;
                }
                self.replace_lists(transaction, &Lists::of(group, &stored)).await?;
                Ok(u64::try_from(stored.len()).unwrap_or(u64::MAX))
            }

            /// Rows of a statement, of which `rest` stands behind `FROM`.
            async fn rows(&self, transcript: &str, rest: &str, binds: Vec<Bind>) -> Result<Vec<Row>, DatabaseError> {
                let (columns, lists) = (shared::COLUMNS, $statements.lists);
                let sql = format!("SELECT {columns}, {transcript}, {lists} FROM {rest}");
                let mut statement = sqlx::query(sqlx::AssertSqlSafe(sql));
                for bind in binds {
                    statement = match bind {
                        Bind::Text(text) => statement.bind(text),
                        Bind::Number(number) => statement.bind(number),
                    };
                }
                let found = statement.fetch_all(self.readers()).await;
                let found = found.map_err(|error| DatabaseError::of(shared::READ, &error))?;
                found.iter().map(shared::row).collect()
            }
        }

        #[async_trait]
        impl Index for $index {
            async fn apply(&self, changes: &[Change]) -> Result<u64, DatabaseError> {
                let failed = |error| DatabaseError::of(shared::APPLY, &error);
                let mut transaction = self.writer().begin().await.map_err(failed)?;
                let mut changed = 0;
                for step in batch::steps(changes) {
                    changed += match step {
                        Step::Outcomes(group) => self.outcomes(&mut transaction, &group).await,
                        Step::Other(change) => self.change(&mut transaction, change).await,
                    }
                    .map_err(failed)?;
                }
                transaction.commit().await.map_err(failed)?;
                Ok(changed)
            }

            async fn get(&self, tenant: &str, media_id: &str) -> Result<Option<Row>, DatabaseError> {
                let rest = "catalog_media m WHERE m.tenant = $1 AND m.media_id = $2";
                let binds = vec![Bind::Text(clean(tenant)), Bind::Text(clean(media_id))];
                Ok(self.rows(shared::TRANSCRIPT[0], rest, binds).await?.pop())
            }

            async fn find(
                &self,
                filter: &Filter,
                after: Option<Place>,
                limit: u32,
            ) -> Result<Vec<Row>, DatabaseError> {
                let mut conditions = Conditions::of(filter, after, $dialect);
                let most = conditions.bind(Bind::Number(limit.into()));
                let Conditions { sql, binds } = conditions;
                let (from, order) = match filter.contact {
                    Some(_) => {
                        ("catalog_contact c JOIN catalog_media m ON m.id = c.media", "c.sent_at DESC, c.media DESC")
                    }
                    None => ("catalog_media m", "m.sent_at DESC, m.id DESC"),
                };
                self.rows(shared::TRANSCRIPT[1], &format!("{from} {sql} ORDER BY {order} LIMIT {most}"), binds).await
            }

            async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Row>, DatabaseError> {
                let rest = "catalog_media m WHERE m.expires_at IS NOT NULL AND m.expires_at <= $1 ORDER BY m.expires_at LIMIT $2";
                let binds = vec![Bind::Number(now.as_millisecond()), Bind::Number(limit.into())];
                self.rows(shared::TRANSCRIPT[1], rest, binds).await
            }

            async fn revoke(&self, link: &str, at: Timestamp) -> Result<(), DatabaseError> {
                let sql = "INSERT INTO catalog_revoked (link, revoked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                let done = sqlx::query(sql).bind(clean(link)).bind(at.as_millisecond()).execute(self.writer()).await;
                done.map(drop).map_err(|error| DatabaseError::of(shared::APPLY, &error))
            }

            async fn is_revoked(&self, link: &str) -> Result<bool, DatabaseError> {
                let sql = "SELECT revoked_at FROM catalog_revoked WHERE link = $1";
                let found = sqlx::query_scalar::<_, i64>(sql).bind(clean(link)).fetch_optional(self.readers()).await;
                found.map(|at| at.is_some()).map_err(|error| DatabaseError::of(shared::READ, &error))
            }

            async fn counts(&self) -> Result<Vec<(String, u64)>, DatabaseError> {
                let sql = "SELECT state, COUNT(*) FROM catalog_media GROUP BY state ORDER BY state";
                let found = sqlx::query_as::<_, (String, i64)>(sql).fetch_all(self.readers()).await;
                let found = found.map_err(|error| DatabaseError::of(shared::READ, &error))?;
                Ok(found.into_iter().map(|(state, count)| (state, u64::try_from(count).unwrap_or(0))).collect())
            }

            async fn wipe_residues(&self) -> Result<(), DatabaseError> {
                self.wipe().await
            }

            async fn check(&self) -> Result<(), DatabaseError> {
                let asked = sqlx::query("SELECT 1").execute(self.readers()).await;
                asked.map(drop).map_err(|error| DatabaseError::of(shared::READ, &error))
            }
        }
    };
}
pub(super) use index;
