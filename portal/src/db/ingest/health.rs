//! What each tenant's app last said about itself.

use freehold_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{IngestRead, IngestTx, TenantNumber};
use crate::{domain::ingest::AppStatus, error::AppError};

/// What comes in.
#[derive(Debug)]
pub struct NewHealth {
    /// The verdict.
    pub status: AppStatus,
    /// When it was made.
    pub at: Timestamp,
    /// The app's version.
    pub version: Option<String>,
    /// In a sentence.
    pub message: Option<String>,
    /// JSON object of single checks.
    pub checks: String,
}

/// What is kept.
#[derive(Debug)]
pub struct HealthRow {
    /// The verdict.
    pub status: String,
    /// Since when it is this one.
    pub since: Timestamp,
    /// When it was made.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// The app's version.
    pub version: Option<String>,
    /// In a sentence.
    pub message: Option<String>,
    /// JSON object of single checks.
    pub checks: String,
}

/// Keeps a report unless a later one is there; says whether it was kept.
///
/// # Errors
/// When the database fails.
pub fn put(tx: &IngestTx<'_>, tenant: TenantNumber, health: &NewHealth) -> Result<bool, AppError> {
    let NewHealth { status, at, version, message, checks } = health;
    let (status, at, now) = (status.as_str(), at.as_millis(), tx.now().as_millis());
    let changed = tx
        .sql()
        .prepare_cached(
            "INSERT INTO health (tenant_id, status, since, at, received_at, version, message, checks)
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (tenant_id) DO UPDATE SET
                since = CASE WHEN status = excluded.status THEN since ELSE excluded.at END,
                status = excluded.status, at = excluded.at, received_at = excluded.received_at,
                version = excluded.version, message = excluded.message, checks = excluded.checks
             WHERE excluded.at >= at",
        )?
        .execute(params![tenant, status, at, now, version, message, checks])?;
    Ok(changed == 1)
}

/// What a tenant's app last said.
///
/// # Errors
/// When the database fails.
pub fn get(read: &IngestRead<'_>, tenant: TenantNumber) -> Result<Option<HealthRow>, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT status, since, at, received_at, version, message, checks FROM health
              WHERE tenant_id = ?1",
        )?
        .query_row([tenant], |row| {
            Ok(HealthRow {
                status: row.get(0)?,
                since: Timestamp::from_millis(row.get(1)?),
                at: Timestamp::from_millis(row.get(2)?),
                received_at: Timestamp::from_millis(row.get(3)?),
                version: row.get(4)?,
                message: row.get(5)?,
                checks: row.get(6)?,
            })
        })
        .optional()?)
}
