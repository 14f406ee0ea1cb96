//! What all tables of licensing share: the counter that says that something which license
//! validation depends on has changed, and everything that it depends on.

use freehold_protocol::{
    ids::{BlueprintName, TenantId, TenantSlug},
    time::Timestamp,
};
use rusqlite::OptionalExtension;

use super::{
    Read, Tx,
    row::{column, json, optional},
};
use crate::{
    domain::{
        entitlement::Overrides,
        ids::{CustomerId, LicenseId, TenantKeyId},
        license::LicenseStatus,
    },
    error::AppError,
};

const GENERATION: &str = "licensing_generation";

/// Counts a change that license validation must see, in the transaction of the change. The
/// snapshot is made anew before the writer's caller gets its answer.
///
/// # Errors
/// When the database fails.
pub fn touch(tx: &Tx<'_>) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES (?1, '1')
             ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)",
        )?
        .execute([GENERATION])?;
    tx.note_licensing();
    Ok(())
}

/// How many changes there were.
///
/// # Errors
/// When the database fails.
pub fn generation(read: &Read<'_>) -> Result<u64, AppError> {
    let text: Option<String> = read
        .sql()
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([GENERATION], |row| row.get(0))
        .optional()?;
    text.map_or(Ok(0), |text| {
        text.parse().map_err(|_| AppError::bug("the licensing generation is unreadable"))
    })
}

/// A license as the snapshot needs it.
#[derive(Debug)]
pub struct LicenseFacts {
    /// Its identifier.
    pub id: LicenseId,
    /// Whose it is.
    pub customer: CustomerId,
    /// What that customer's apps send.
    pub organization: String,
    /// Its plan.
    pub plan: BlueprintName,
    /// Keyed hash of its key.
    pub key_hash: String,
    /// How it differs from its plan.
    pub overrides: Overrides,
    /// Its status as noted.
    pub status: LicenseStatus,
    /// Its end.
    pub expires_at: Option<Timestamp>,
    /// When an app last asked for it.
    pub last_validated_at: Option<Timestamp>,
}

/// Every license.
///
/// # Errors
/// When the database fails.
pub fn licenses(read: &Read<'_>) -> Result<Vec<LicenseFacts>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT l.id, l.customer_id, c.organization_id, l.plan, l.key_hash, l.overrides, l.status, l.expires_at,
            l.last_validated_at FROM licenses l JOIN customers c ON c.id = l.customer_id",
    )?;
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    let rows = statement.query_map([], |row| {
        Ok(LicenseFacts {
            id: column(row, 0)?,
            customer: column(row, 1)?,
            organization: row.get(2)?,
            plan: column(row, 3)?,
            key_hash: row.get(4)?,
            overrides: json(row, 5)?,
            status: column(row, 6)?,
            expires_at: time(row.get(7)?),
            last_validated_at: time(row.get(8)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An API key of a tenant as the snapshot needs it.
#[derive(Debug)]
pub struct KeyFacts {
    /// Its identifier.
    pub id: TenantKeyId,
    /// Its keyed hash.
    pub hash: String,
    /// Its tenant.
    pub tenant: TenantId,
    /// That tenant's slug.
    pub slug: TenantSlug,
    /// The customer that its tenant's license belongs to.
    pub customer: Option<CustomerId>,
    /// What that customer's apps send as their organization.
    pub organization: Option<String>,
    /// Until when it is good, once it was replaced.
    pub valid_until: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// Every API key of a tenant that was not removed.
///
/// # Errors
/// When the database fails.
pub fn keys(read: &Read<'_>) -> Result<Vec<KeyFacts>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT k.id, k.hash, l.customer_id, k.valid_until, k.last_used_at, k.revoked_at IS NOT NULL, t.id, t.slug,
            c.organization_id
         FROM tenant_keys k JOIN tenants t ON t.id = k.tenant_id LEFT JOIN licenses l ON l.id = t.license_id
            LEFT JOIN customers c ON c.id = l.customer_id
         WHERE t.status <> 'removed'",
    )?;
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    let rows = statement.query_map([], |row| {
        Ok(KeyFacts {
            id: column(row, 0)?,
            hash: row.get(1)?,
            customer: optional(row, 2)?,
            valid_until: time(row.get(3)?),
            last_used_at: time(row.get(4)?),
            revoked: row.get(5)?,
            tenant: column(row, 6)?,
            slug: column(row, 7)?,
            organization: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
