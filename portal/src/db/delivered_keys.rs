//! API keys that jobs bring into tenants' own environment: which one is brought next, and what of it
//! has arrived.

use freehold_protocol::{
    ids::{JobId, TenantId},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::{
    Read, Tx, expect_one, licensing,
    row::column,
    tenant_keys::{self, TenantKeyRow},
};
use crate::{domain::ids::TenantKeyId, error::AppError};

/// Marks a key as one that jobs bring: keeps it sealed, and how long the one before it stays good once
/// it has arrived.
///
/// # Errors
/// When the database fails.
pub fn mark(tx: &Tx<'_>, id: TenantKeyId, sealed: &[u8], grace_secs: i64) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenant_keys SET delivered = 1, sealed = ?2, grace_secs = ?3 WHERE id = ?1",
        params![id.to_string(), sealed, grace_secs],
    )?;
    expect_one(changed, "key")
}

/// The key that the next deploy brings, and its sealed form: of those that are good without end the one
/// that none was made to replace. Identifiers do not say which is the youngest: a clock may be set back.
///
/// # Errors
/// When the database fails.
pub fn next(
    read: &Read<'_>,
    tenant: TenantId,
) -> Result<Option<(TenantKeyRow, Vec<u8>)>, AppError> {
    let found: Option<(TenantKeyId, Vec<u8>)> = read
        .sql()
        .prepare_cached(
            "SELECT k.id, k.sealed FROM tenant_keys k WHERE k.tenant_id = ?1 AND k.delivered = 1 AND k.sealed IS NOT NULL
                AND k.revoked_at IS NULL AND k.valid_until IS NULL
                AND NOT EXISTS (SELECT 1 FROM tenant_keys n WHERE n.tenant_id = ?1 AND n.replaces = k.id
                    AND n.revoked_at IS NULL)
              ORDER BY k.id DESC LIMIT 1",
        )?
        .query_row([tenant.to_string()], |row| Ok((column(row, 0)?, row.get(1)?)))
        .optional()?;
    let Some((id, sealed)) = found else { return Ok(None) };
    Ok(tenant_keys::by_id(read, tenant, id)?.map(|key| (key, sealed)))
}

/// Notes which job carries a key.
///
/// # Errors
/// When the database fails.
pub fn note_sent(tx: &Tx<'_>, id: TenantKeyId, job: JobId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenant_keys SET sent_with = ?2 WHERE id = ?1",
        params![id.to_string(), job.to_string()],
    )?;
    expect_one(changed, "key")
}

/// The key that a job carries and that has not arrived yet, and its sealed form.
///
/// # Errors
/// When the database fails.
pub fn on_its_way(
    read: &Read<'_>,
    tenant: TenantId,
    job: JobId,
) -> Result<Option<(TenantKeyId, Vec<u8>)>, AppError> {
    Ok(read
        .sql()
        .query_row(
            "SELECT id, sealed FROM tenant_keys
             WHERE tenant_id = ?1 AND sent_with = ?2 AND delivered_at IS NULL AND revoked_at IS NULL
               AND sealed IS NOT NULL",
            params![tenant.to_string(), job.to_string()],
            |row| Ok((column(row, 0)?, row.get(1)?)),
        )
        .optional()?)
}

/// Notes that a key has arrived, for the first time; the answer is its grace period in seconds.
///
/// # Errors
/// When the database fails, or it has arrived before.
pub fn note_arrived(tx: &Tx<'_>, id: TenantKeyId) -> Result<i64, AppError> {
    Ok(tx.sql().query_row(
        "UPDATE tenant_keys SET delivered_at = ?2 WHERE id = ?1 AND delivered_at IS NULL
         RETURNING coalesce(grace_secs, 0)",
        params![id.to_string(), tx.now().as_millis()],
        |row| row.get(0),
    )?)
}

/// Lets the keys that jobs have brought to a tenant end at `until`, but for the one that has arrived, and
/// forgets them: none of them will be brought again. The answer is how many there were. When one has
/// arrived, those that were ending already end now, so that at most two are good in one's place.
///
/// # Errors
/// When the database fails.
pub fn end_former(
    tx: &Tx<'_>,
    tenant: TenantId,
    arrived: Option<TenantKeyId>,
    until: Timestamp,
) -> Result<usize, AppError> {
    let (tenant, arrived) = (tenant.to_string(), arrived.map(|id| id.to_string()));
    if arrived.is_some() {
        tx.sql().execute(
            "UPDATE tenant_keys SET valid_until = ?2 WHERE tenant_id = ?1 AND delivered = 1 AND valid_until > ?2",
            params![tenant, tx.now().as_millis()],
        )?;
    }
    let ended = tx.sql().execute(
        "UPDATE tenant_keys SET valid_until = ?3, sealed = NULL
         WHERE tenant_id = ?1 AND id IS NOT ?2 AND delivered = 1 AND revoked_at IS NULL AND valid_until IS NULL",
        params![tenant, arrived, until.as_millis()],
    )?;
    licensing::touch(tx)?;
    Ok(ended)
}
