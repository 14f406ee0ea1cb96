//! What makes logs and usage end: statements that take away a few rows or pages at a time.

use freehold_protocol::time::Timestamp;
use rusqlite::params;

use super::{IngestRead, IngestTx, TenantNumber, batches::BatchKind};
use crate::error::AppError;

/// How large the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of it that hold nothing.
    pub free: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
}

/// How large the file is.
///
/// # Errors
/// When the database fails.
pub fn size(read: &IngestRead<'_>) -> Result<Size, AppError> {
    let pragma = |name: &str| -> Result<u64, AppError> {
        Ok(read.sql().pragma_query_value(None, name, |row| row.get(0))?)
    };
    let page = pragma("page_size")?;
    let free_pages = pragma("freelist_count")?;
    Ok(Size { file: pragma("page_count")? * page, free: free_pages * page, free_pages })
}

/// Deletes the oldest lines, at most `limit`, as long as they came at `until` or before.
///
/// # Errors
/// When the database fails.
pub fn delete_lines(tx: &IngestTx<'_>, until: Timestamp, limit: u32) -> Result<usize, AppError> {
    // The oldest by number, so that the end is found without a look at the others.
    let last: Option<i64> = tx
        .sql()
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id, received_at FROM log_lines ORDER BY id LIMIT ?1)
              WHERE received_at <= ?2",
        )?
        .query_row(params![limit, until.as_millis()], |row| row.get(0))?;
    let Some(last) = last else { return Ok(0) };
    Ok(tx.sql().prepare_cached("DELETE FROM log_lines WHERE id <= ?1")?.execute([last])?)
}

/// Forgets batches of a kind that came at `until` or before, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn delete_batches(
    tx: &IngestTx<'_>,
    kind: BatchKind,
    until: Timestamp,
    limit: u32,
) -> Result<usize, AppError> {
    Ok(tx
        .sql()
        .prepare_cached(
            "DELETE FROM batches WHERE (tenant_id, kind, batch) IN
                (SELECT old.tenant_id, old.kind, old.batch FROM tenants
                  CROSS JOIN batches AS old INDEXED BY batches_by_age
                  WHERE old.tenant_id = tenants.id AND old.kind = ?1 AND old.received_at <= ?2
                  LIMIT ?3)",
        )?
        .execute(params![kind.as_str(), until.as_millis(), limit])?)
}

/// Forgets the oldest batches of a tenant, at most `limit`; those of usage, from which bills are made, after
/// those of logs.
///
/// # Errors
/// When the database fails.
pub fn delete_batches_of(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    limit: u32,
) -> Result<usize, AppError> {
    let mut statement = tx.sql().prepare_cached(
        "DELETE FROM batches WHERE (tenant_id, kind, batch) IN
            (SELECT tenant_id, kind, batch FROM batches INDEXED BY batches_by_age
              WHERE tenant_id = ?1 AND kind = ?2 ORDER BY received_at LIMIT ?3)",
    )?;
    for kind in [BatchKind::Logs, BatchKind::Usage] {
        let gone = statement.execute(params![tenant, kind.as_str(), limit])?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    Ok(0)
}

/// Deletes usage of days before one, and counts of what was sent on days before another; at most
/// `limit` of each.
///
/// # Errors
/// When the database fails.
pub fn delete_days(
    tx: &IngestTx<'_>,
    usage_before: i64,
    traffic_before: i64,
    limit: u32,
) -> Result<usize, AppError> {
    let usage = tx.sql().execute(
        "DELETE FROM usage_days WHERE (tenant_id, day, metric, kind) IN
            (SELECT tenant_id, day, metric, kind FROM usage_days WHERE day < ?1 LIMIT ?2)",
        params![usage_before, limit],
    )?;
    let traffic = tx.sql().execute(
        "DELETE FROM traffic WHERE (tenant_id, day) IN
            (SELECT tenant_id, day FROM traffic WHERE day < ?1 LIMIT ?2)",
        params![traffic_before, limit],
    )?;
    Ok(usage + traffic)
}

/// Gives at most `pages` empty pages back to the disk.
///
/// # Errors
/// When the database fails.
pub fn give_back(tx: &IngestTx<'_>, pages: u32) -> Result<(), AppError> {
    tx.sql().execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?;
    Ok(())
}
