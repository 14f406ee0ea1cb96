//! Licenses. Their keys are here only as keyed hashes and sealed.

use freehold_protocol::{
    ids::{BlueprintName, TenantId, TenantSlug},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, licensing,
    row::{column, json},
};
use crate::{
    domain::{
        entitlement::Overrides,
        ids::{CustomerId, LicenseId},
        license::LicenseStatus,
    },
    error::AppError,
};

/// A license as it is stored, with its customer's name.
#[derive(Debug, Clone)]
pub struct LicenseRow {
    /// The identifier.
    pub id: LicenseId,
    /// The customer.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The plan.
    pub plan: BlueprintName,
    /// The start of its key.
    pub key_hint: String,
    /// How it differs from the plan.
    pub overrides: Overrides,
    /// The status as it was last noted; [`LicenseStatus::at`] says what it is now.
    pub status: LicenseStatus,
    /// Since when.
    pub status_at: Timestamp,
    /// Why, if somebody said so.
    pub status_reason: String,
    /// When its time is over.
    pub expires_at: Option<Timestamp>,
    /// When a tenant of it was first deployed.
    pub activated_at: Option<Timestamp>,
    /// When an app last asked for it, to within an hour.
    pub last_validated_at: Option<Timestamp>,
    /// Version of the row.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "SELECT l.id, l.customer_id, c.name, l.plan, l.key_hint, l.overrides, l.status, l.status_at,
    l.status_reason, l.expires_at, l.activated_at, l.last_validated_at, l.generation, l.created_by, l.created_at,
    l.updated_at FROM licenses l JOIN customers c ON c.id = l.customer_id";

fn of_row(row: &Row<'_>) -> rusqlite::Result<LicenseRow> {
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(LicenseRow {
        id: column(row, 0)?,
        customer: column(row, 1)?,
        customer_name: row.get(2)?,
        plan: column(row, 3)?,
        key_hint: row.get(4)?,
        overrides: json(row, 5)?,
        status: column(row, 6)?,
        status_at: Timestamp::from_millis(row.get(7)?),
        status_reason: row.get(8)?,
        expires_at: time(row.get(9)?),
        activated_at: time(row.get(10)?),
        last_validated_at: time(row.get(11)?),
        generation: row.get::<_, i64>(12)?.unsigned_abs(),
        created_by: row.get(13)?,
        created_at: Timestamp::from_millis(row.get(14)?),
        updated_at: Timestamp::from_millis(row.get(15)?),
    })
}

/// Adds a license with its key's keyed hash and the key under the master key.
///
/// # Errors
/// When the database fails.
pub fn insert(
    tx: &Tx<'_>,
    license: &LicenseRow,
    key_hash: &str,
    key_sealed: &[u8],
) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO licenses (id, customer_id, plan, key_hash, key_sealed, key_hint, overrides, status, status_at,
            expires_at, created_by, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?9, ?9)",
        params![
            license.id.to_string(),
            license.customer.to_string(),
            license.plan.as_str(),
            key_hash,
            key_sealed,
            license.key_hint,
            serde_json::to_string(&license.overrides)?,
            license.status.as_str(),
            tx.now().as_millis(),
            license.expires_at.map(Timestamp::as_millis),
            license.created_by,
        ],
    )?;
    licensing::touch(tx)
}

/// Writes what may change of a license, if it is still in the status `from` and has the generation
/// that it was read with.
///
/// # Errors
/// `transition_refused`.
pub fn update(tx: &Tx<'_>, license: &LicenseRow, from: LicenseStatus) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE licenses SET plan = ?4, overrides = ?5, status = ?6, status_at = ?7, status_reason = ?8,
            expires_at = ?9, activated_at = ?10, generation = generation + 1, updated_at = ?11
         WHERE id = ?1 AND generation = ?2 AND status = ?3",
        params![
            license.id.to_string(),
            license.generation.cast_signed(),
            from.as_str(),
            license.plan.as_str(),
            serde_json::to_string(&license.overrides)?,
            license.status.as_str(),
            license.status_at.as_millis(),
            license.status_reason,
            license.expires_at.map(Timestamp::as_millis),
            license.activated_at.map(Timestamp::as_millis),
            tx.now().as_millis(),
        ],
    )?;
    licensing::touch(tx)?;
    expect_one(changed, "license")
}

/// The license with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: LicenseId) -> Result<Option<LicenseRow>, AppError> {
    let sql = format!("{SELECT} WHERE l.id = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([id.to_string()], of_row).optional()?)
}

/// The license that a tenant has.
///
/// # Errors
/// When the database fails.
pub fn of_tenant(read: &Read<'_>, tenant: TenantId) -> Result<Option<LicenseRow>, AppError> {
    let sql = format!("{SELECT} JOIN tenants t ON t.license_id = l.id WHERE t.id = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([tenant.to_string()], of_row).optional()?)
}

/// A license's key under the master key.
///
/// # Errors
/// When the database fails.
pub fn sealed_key(read: &Read<'_>, id: LicenseId) -> Result<Option<Vec<u8>>, AppError> {
    Ok(read
        .sql()
        .query_row("SELECT key_sealed FROM licenses WHERE id = ?1", [id.to_string()], |row| {
            row.get(0)
        })
        .optional()?)
}

/// Which licenses a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this customer.
    pub customer: Option<CustomerId>,
    /// Only those of this plan.
    pub plan: Option<BlueprintName>,
    /// Only those that are in this status now.
    pub status: Option<LicenseStatus>,
    /// Only the one of this tenant.
    pub of: Option<TenantId>,
}

/// Up to `limit` licenses after the one with identifier `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    filter: &Filter,
    after: &str,
    limit: u32,
) -> Result<Vec<LicenseRow>, AppError> {
    let sql = format!(
        "{SELECT} WHERE l.id > ?1 AND (?2 IS NULL OR l.customer_id = ?2) AND (?3 IS NULL OR l.plan = ?3)
            AND (?4 IS NULL OR ?4 = CASE
                WHEN l.status IN ('pending_deployment', 'active') AND l.expires_at <= ?5 THEN 'expired'
                ELSE l.status END)
            AND (?7 IS NULL OR l.id = (SELECT license_id FROM tenants WHERE id = ?7))
         ORDER BY l.id LIMIT ?6"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            after,
            filter.customer.map(|id| id.to_string()),
            filter.plan.as_ref().map(BlueprintName::as_str),
            filter.status.map(LicenseStatus::as_str),
            read.now().as_millis(),
            limit,
            filter.of.map(|id| id.to_string()),
        ],
        of_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Up to `limit` licenses whose time is over and that are not noted as expired.
///
/// # Errors
/// When the database fails.
pub fn to_expire(read: &Read<'_>, limit: u32) -> Result<Vec<LicenseRow>, AppError> {
    let sql = format!(
        "{SELECT} WHERE l.status IN ('pending_deployment', 'active') AND l.expires_at <= ?1
         ORDER BY l.expires_at LIMIT ?2"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![read.now().as_millis(), limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tenants that have a license and are not removed, or the one of them that is named.
///
/// # Errors
/// When the database fails.
pub fn tenants(
    read: &Read<'_>,
    id: LicenseId,
    only: Option<TenantId>,
) -> Result<Vec<TenantSlug>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT slug FROM tenants WHERE license_id = ?1 AND status <> 'removed' AND (?2 IS NULL OR id = ?2)
          ORDER BY id",
    )?;
    let only = only.map(|id| id.to_string());
    let rows = statement.query_map(params![id.to_string(), only], |row| column(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tenants of a customer that are not removed.
///
/// # Errors
/// When the database fails.
pub fn tenants_of_customer(
    read: &Read<'_>,
    customer: CustomerId,
) -> Result<Vec<TenantSlug>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT t.slug FROM licenses l JOIN tenants t ON t.license_id = l.id
         WHERE l.customer_id = ?1 AND t.status <> 'removed' ORDER BY t.id",
    )?;
    let rows = statement.query_map([customer.to_string()], |row| column(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that apps have asked for licenses. Called at most hourly per license.
///
/// # Errors
/// When the database fails.
pub fn note_validated(tx: &Tx<'_>, id: LicenseId, at: Timestamp) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "UPDATE licenses SET last_validated_at = ?2 WHERE id = ?1 AND coalesce(last_validated_at, 0) < ?2",
        )?
        .execute(params![id.to_string(), at.as_millis()])?;
    Ok(())
}
