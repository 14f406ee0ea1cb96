//! With what each tenant was last deployed.

use freehold_protocol::{ids::TenantId, job::Work};
use rusqlite::{OptionalExtension, params};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// Keeps the work of a deploy that is done, in place of the one before.
///
/// # Errors
/// When the database fails.
pub fn keep(tx: &Tx<'_>, tenant: TenantId, work: &Work) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO running_work (tenant_id, work) VALUES (?1, ?2)
             ON CONFLICT (tenant_id) DO UPDATE SET work = excluded.work",
        )?
        .execute(params![tenant.to_string(), codec::to_json(work)?])?;
    Ok(())
}

/// The work of a tenant's last deploy that is done, if it is known.
///
/// # Errors
/// When the database fails.
pub fn of(read: &Read<'_>, tenant: TenantId) -> Result<Option<Work>, AppError> {
    Ok(read
        .sql()
        .prepare_cached("SELECT work FROM running_work WHERE tenant_id = ?1")?
        .query_row([tenant.to_string()], |row| codec::json(row, "work"))
        .optional()?)
}
