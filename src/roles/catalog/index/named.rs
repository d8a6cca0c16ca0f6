//! Where the audit log names people and media, for one database: the same statements for both.

/// Writes the index of the audit log: `$index` has `writer()` and `readers()`, which are pools of `$database`, and `put_named()`.
macro_rules! named {
    ($index:ident) => {
        #[async_trait]
        impl AuditIndex for $index {
            async fn place(&self) -> Result<AuditPlace, IndexError> {
                let sql = "SELECT entries, last_segment, last_sha256 FROM catalog_audit_place";
                let found =
                    sqlx::query_as::<_, (i64, Option<i64>, Option<String>)>(sql).fetch_one(self.readers()).await;
                let (entries, segment, sha256) =
                    found.map_err(|error| DatabaseError::of("say up to where it knows the audit log", &error))?;
                let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
                Ok(AuditPlace { entries: unsigned(entries), last: segment.map(unsigned).zip(sha256) })
            }

            async fn segments(&self, tenant: &str, about: &str) -> Result<Vec<u64>, IndexError> {
                let sql = "SELECT segment FROM catalog_audit WHERE tenant = $1 AND about = $2";
                let found = sqlx::query_scalar::<_, i64>(sql).bind(clean(tenant)).bind(clean(about));
                let found = found.fetch_all(self.readers()).await;
                let found =
                    found.map_err(|error| DatabaseError::of("say where the audit log names somebody", &error))?;
                Ok(found.into_iter().filter_map(|segment| u64::try_from(segment).ok()).collect())
            }

            async fn add_named(&self, named: &[Named], from: &AuditPlace, to: &AuditPlace) -> Result<bool, IndexError> {
                let failed = |error| DatabaseError::of("extend its index of the audit log", &error);
                let mut transaction = self.writer().begin().await.map_err(failed)?;
                let sql = "UPDATE catalog_audit_place SET entries = $2, last_segment = $3, last_sha256 = $4 \
                           WHERE entries = $1";
                let last = to.last.as_ref();
                let moved = sqlx::query(sql)
                    .bind(signed(from.entries))
                    .bind(signed(to.entries))
                    .bind(last.map(|(segment, _)| signed(*segment)))
                    .bind(last.map(|(_, sha256)| sha256.clone()))
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed)?;
                if moved.rows_affected() == 0 {
                    return Ok(false);
                }
                self.put_named(&mut transaction, named).await.map_err(failed)?;
                transaction.commit().await.map_err(failed)?;
                Ok(true)
            }

            async fn forget_named(&self, from: &AuditPlace) -> Result<(), IndexError> {
                let failed = |error| DatabaseError::of("empty its index of the audit log", &error);
                let mut transaction = self.writer().begin().await.map_err(failed)?;
                let sql = "UPDATE catalog_audit_place SET entries = 0, last_segment = NULL, last_sha256 = NULL \
                           WHERE entries = $1";
                let emptied = sqlx::query(sql).bind(signed(from.entries)).execute(&mut *transaction).await;
                if emptied.map_err(failed)?.rows_affected() > 0 {
                    sqlx::query("DELETE FROM catalog_audit").execute(&mut *transaction).await.map_err(failed)?;
                }
                Ok(transaction.commit().await.map_err(failed)?)
            }
        }
    };
}
pub(super) use named;

/// A number of an entry, as databases have them.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
