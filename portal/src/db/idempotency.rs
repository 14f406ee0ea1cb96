//! Answers that are kept for their `Idempotency-Key`, in the transaction of the effect itself.

use rusqlite::{OptionalExtension, params};

use super::{Read, Tx};
use crate::error::AppError;

/// A kept answer.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Keyed digest of the request that it answered.
    pub request_digest: String,
    /// The status.
    pub status: u16,
    /// Headers as a JSON object.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// The answer that is kept for a key of this caller.
///
/// # Errors
/// When the database fails.
pub fn get(read: &Read<'_>, caller: &str, key: &str) -> Result<Option<Kept>, AppError> {
    Ok(read
        .sql()
        .query_row(
            "SELECT request_digest, status, headers, body FROM idempotency_keys WHERE caller = ?1 AND key = ?2",
            params![caller, key],
            |row| {
                Ok(Kept {
                    request_digest: row.get(0)?,
                    status: row.get(1)?,
                    headers: row.get(2)?,
                    body: row.get(3)?,
                })
            },
        )
        .optional()?)
}

/// Keeps an answer.
///
/// # Errors
/// When the database fails.
pub fn put(tx: &Tx<'_>, caller: &str, key: &str, kept: &Kept) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO idempotency_keys (caller, key, request_digest, status, headers, body, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            caller,
            key,
            kept.request_digest,
            kept.status,
            kept.headers,
            kept.body,
            tx.now().as_millis(),
        ],
    )?;
    Ok(())
}

/// Forgets at most `limit` answers beyond the newest `keep`.
///
/// # Errors
/// When the database fails.
pub fn purge_beyond(tx: &Tx<'_>, keep: u32, limit: u32) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM idempotency_keys WHERE (caller, key) IN
            (SELECT caller, key FROM idempotency_keys ORDER BY created_at DESC LIMIT ?2 OFFSET ?1)",
        params![keep, limit],
    )?)
}

/// Forgets at most `limit` answers that were kept longer than `keep_secs`.
///
/// # Errors
/// When the database fails.
pub fn purge(tx: &Tx<'_>, keep_secs: i64, limit: u32) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM idempotency_keys WHERE (caller, key) IN
            (SELECT caller, key FROM idempotency_keys WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
        params![tx.now().plus_secs(-keep_secs).as_millis(), limit],
    )?)
}
