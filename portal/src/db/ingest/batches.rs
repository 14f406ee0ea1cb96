//! Batches that were taken, and what each tenant has sent on each day.

use rusqlite::{OptionalExtension as _, params};

use super::{IngestRead, IngestTx, TenantNumber};
use crate::error::AppError;

/// What kind of batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Lines of a log.
    Logs,
    /// Values of metrics.
    Usage,
}

impl BatchKind {
    /// Its name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Usage => "usage",
        }
    }
}

/// A batch that was taken.
#[derive(Debug)]
pub struct Taken {
    /// SHA-256 of its body, unpacked.
    pub digest: Vec<u8>,
    /// What was answered.
    pub answer: String,
}

/// A batch that was taken under an id.
///
/// # Errors
/// When the database fails.
pub fn find(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    kind: BatchKind,
    batch: &str,
) -> Result<Option<Taken>, AppError> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT digest, answer FROM batches WHERE tenant_id = ?1 AND kind = ?2 AND batch = ?3",
        )?
        .query_row(params![tenant, kind.as_str(), batch], |row| {
            Ok(Taken { digest: row.get(0)?, answer: row.get(1)? })
        })
        .optional()?)
}

/// About how many bytes of the file an id and its answer take: the id stands in the table and in its
/// index. Triggers of the database add it up for each tenant.
#[must_use]
pub const fn kept_bytes(batch: &str, answer: &str) -> u64 {
    (answer.len() + 2 * batch.len() + 120) as u64
}

/// How much ids of batches take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Of all tenants.
    pub total: u64,
    /// The tenant whose ids take most.
    pub most: TenantNumber,
    /// How much those take.
    pub of_most: u64,
}

/// How much ids of batches take; none when there are none.
///
/// # Errors
/// When the database fails.
pub fn kept(read: &IngestRead<'_>) -> Result<Option<Kept>, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT (SELECT sum(batch_bytes) FROM tenants), id, batch_bytes FROM tenants
              WHERE batch_bytes > 0 ORDER BY batch_bytes DESC LIMIT 1",
        )?
        .query_row([], |row| {
            Ok(Kept { total: row.get(0)?, most: row.get(1)?, of_most: row.get(2)? })
        })
        .optional()?)
}

/// Notes that a batch was taken.
///
/// # Errors
/// When the database fails.
pub fn put(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    kind: BatchKind,
    batch: &str,
    taken: &Taken,
) -> Result<(), AppError> {
    let now = tx.now().as_millis();
    tx.sql()
        .prepare_cached(
            "INSERT INTO batches (tenant_id, kind, batch, digest, answer, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![tenant, kind.as_str(), batch, taken.digest, taken.answer, now])?;
    Ok(())
}

/// Counts what a tenant has sent.
///
/// # Errors
/// When the database fails.
pub fn count(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    day: i64,
    items: u64,
    bytes: u64,
) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO traffic (tenant_id, day, items, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant_id, day) DO UPDATE
             SET items = items + excluded.items, bytes = bytes + excluded.bytes",
        )?
        .execute(params![tenant, day, items, bytes])?;
    Ok(())
}

/// The bytes that a tenant has sent on a day.
///
/// # Errors
/// When the database fails.
pub fn bytes_of_day(
    read: &IngestRead<'_>,
    tenant: TenantNumber,
    day: i64,
) -> Result<u64, AppError> {
    let found = read
        .sql()
        .prepare_cached("SELECT bytes FROM traffic WHERE tenant_id = ?1 AND day = ?2")?
        .query_row(params![tenant, day], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}
