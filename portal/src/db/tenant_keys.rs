//! API keys of tenants. The keys themselves are not here, only their keyed hashes.

use freehold_protocol::{ids::TenantId, time::Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, licensing,
    row::{column, optional},
};
use crate::{domain::ids::TenantKeyId, error::AppError};

/// A key as it is stored.
#[derive(Debug, Clone)]
pub struct TenantKeyRow {
    /// Its identifier.
    pub id: TenantKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its keyed hash, lower-case hex.
    pub hash: String,
    /// Its first characters.
    pub prefix: String,
    /// Its last four characters.
    pub last4: String,
    /// The key that it was made to replace.
    pub replaces: Option<TenantKeyId>,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it is good, once it was replaced.
    pub valid_until: Option<Timestamp>,
    /// When it was last used, to within an hour.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether jobs bring it into the tenant's environment ([`super::delivered_keys`]).
    pub delivered: bool,
    /// When a job that brought it was first reported as done.
    pub delivered_at: Option<Timestamp>,
}

const SELECT: &str =
    "SELECT id, tenant_id, hash, prefix, last4, replaces, created_by, created_at, valid_until,
    last_used_at, revoked_at, delivered, delivered_at FROM tenant_keys";

fn of_row(row: &Row<'_>) -> rusqlite::Result<TenantKeyRow> {
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(TenantKeyRow {
        id: column(row, 0)?,
        tenant: column(row, 1)?,
        hash: row.get(2)?,
        prefix: row.get(3)?,
        last4: row.get(4)?,
        replaces: optional(row, 5)?,
        created_by: row.get(6)?,
        created_at: Timestamp::from_millis(row.get(7)?),
        valid_until: time(row.get(8)?),
        last_used_at: time(row.get(9)?),
        revoked_at: time(row.get(10)?),
        delivered: row.get(11)?,
        delivered_at: time(row.get(12)?),
    })
}

/// Adds a key.
///
/// # Errors
/// When the database fails.
pub fn insert(tx: &Tx<'_>, key: &TenantKeyRow) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO tenant_keys (id, tenant_id, hash, prefix, last4, replaces, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            key.id.to_string(),
            key.tenant.to_string(),
            key.hash,
            key.prefix,
            key.last4,
            key.replaces.map(|id| id.to_string()),
            key.created_by,
            key.created_at.as_millis(),
        ],
    )?;
    licensing::touch(tx)
}

/// A tenant's key with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(
    read: &Read<'_>,
    tenant: TenantId,
    id: TenantKeyId,
) -> Result<Option<TenantKeyRow>, AppError> {
    let sql = format!("{SELECT} WHERE id = ?1 AND tenant_id = ?2");
    let row = read.sql().query_row(&sql, params![id.to_string(), tenant.to_string()], of_row);
    Ok(row.optional()?)
}

/// Up to `limit` keys of a tenant after the one with identifier `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    tenant: TenantId,
    after: &str,
    limit: u32,
) -> Result<Vec<TenantKeyRow>, AppError> {
    let sql = format!("{SELECT} WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![tenant.to_string(), after, limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many keys of a tenant are valid and not replaced, nor about to be.
///
/// # Errors
/// When the database fails.
pub fn count_valid(read: &Read<'_>, tenant: TenantId) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM tenant_keys k WHERE tenant_id = ?1 AND revoked_at IS NULL AND valid_until IS NULL
            AND NOT EXISTS (SELECT 1 FROM tenant_keys n WHERE n.tenant_id = ?1 AND n.replaces = k.id
                AND n.revoked_at IS NULL)",
        [tenant.to_string()],
        |row| row.get(0),
    )?)
}

/// When the keys of a tenant were made that are younger than `since`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn made_since(
    read: &Read<'_>,
    tenant: TenantId,
    since: Timestamp,
) -> Result<Vec<Timestamp>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT created_at FROM tenant_keys WHERE tenant_id = ?1 AND created_at > ?2 ORDER BY created_at",
    )?;
    let rows = statement.query_map(params![tenant.to_string(), since.as_millis()], |row| {
        Ok(Timestamp::from_millis(row.get(0)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets until when a key is good that is neither revoked nor replaced.
///
/// # Errors
/// `transition_refused`.
pub fn replace(tx: &Tx<'_>, id: TenantKeyId, until: Timestamp) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenant_keys SET valid_until = ?2 WHERE id = ?1 AND revoked_at IS NULL AND valid_until IS NULL",
        params![id.to_string(), until.as_millis()],
    )?;
    licensing::touch(tx)?;
    expect_one(changed, "key")
}

/// Ends a replaced key that is still good.
///
/// # Errors
/// When the database fails.
pub fn end_replaced(tx: &Tx<'_>, id: TenantKeyId) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE tenant_keys SET valid_until = ?2 WHERE id = ?1 AND valid_until > ?2",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    licensing::touch(tx)
}

/// The key that was made to replace this one, unless it was revoked.
///
/// # Errors
/// When the database fails.
pub fn successor(read: &Read<'_>, key: &TenantKeyRow) -> Result<Option<TenantKeyId>, AppError> {
    Ok(read
        .sql()
        .query_row(
            "SELECT id FROM tenant_keys WHERE tenant_id = ?1 AND replaces = ?2 AND revoked_at IS NULL LIMIT 1",
            [key.tenant.to_string(), key.id.to_string()],
            |row| column(row, 0),
        )
        .optional()?)
}

/// Revokes a key that is not revoked.
///
/// # Errors
/// `transition_refused`.
pub fn revoke(tx: &Tx<'_>, id: TenantKeyId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenant_keys SET revoked_at = ?2, sealed = NULL WHERE id = ?1 AND revoked_at IS NULL",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    licensing::touch(tx)?;
    expect_one(changed, "key")
}

/// Notes that a key was used. Called at most hourly per key.
///
/// # Errors
/// When the database fails.
pub fn note_used(tx: &Tx<'_>, id: TenantKeyId, at: Timestamp) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "UPDATE tenant_keys SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at, 0) < ?2",
        )?
        .execute(params![id.to_string(), at.as_millis()])?;
    Ok(())
}

/// Forgets at most `limit` keys that have been of no use since before `before`.
///
/// # Errors
/// When the database fails.
pub fn purge(tx: &Tx<'_>, before: Timestamp, limit: u32) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM tenant_keys WHERE id IN (SELECT id FROM tenant_keys
            WHERE coalesce(revoked_at, valid_until) < ?1 ORDER BY id LIMIT ?2)",
        params![before.as_millis(), limit],
    )?)
}
