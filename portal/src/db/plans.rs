//! Plans.

use freehold_protocol::{ids::BlueprintName, time::Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, is_unique_violation, licensing,
    row::{column, json},
};
use crate::{
    domain::{
        entitlement::Entitlement,
        license::{ExpiryRule, ExpiryStrategy},
    },
    error::AppError,
};

/// What tenants may want of their hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Memory in MiB.
    pub memory_mb: Option<u32>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Disk in GiB.
    pub disk_gb: Option<u32>,
}

/// A plan as it is stored, with the number of its licenses.
#[derive(Debug, Clone)]
pub struct PlanRow {
    /// Its short name.
    pub name: BlueprintName,
    /// Its name as people write it.
    pub title: String,
    /// Products, features and limits; `maxUsers` and `maxApiKeys` are not among the limits.
    pub gives: Entitlement,
    /// Most users.
    pub max_users: Option<u32>,
    /// Most API keys of a tenant.
    pub max_api_keys: u32,
    /// What tenants may want of their hosts.
    pub quotas: Quotas,
    /// What happens when a license's time is over.
    pub expiry: ExpiryRule,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// Licenses of it.
    pub licenses: u64,
    /// Version of the row.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str =
    "SELECT p.name, p.title, p.products, p.features, p.limits, p.max_users, p.max_api_keys,
    p.memory_mb, p.cpu_millis, p.disk_gb, p.expiry_strategy, p.grace_days, p.archived_at,
    (SELECT count(*) FROM licenses l WHERE l.plan = p.name),
    p.generation, p.created_by, p.created_at, p.updated_at FROM plans p";

fn of_row(row: &Row<'_>) -> rusqlite::Result<PlanRow> {
    Ok(PlanRow {
        name: column(row, 0)?,
        title: row.get(1)?,
        gives: Entitlement {
            products: json(row, 2)?,
            features: json(row, 3)?,
            limits: json(row, 4)?,
        },
        max_users: row.get(5)?,
        max_api_keys: row.get(6)?,
        quotas: Quotas { memory_mb: row.get(7)?, cpu_millis: row.get(8)?, disk_gb: row.get(9)? },
        expiry: ExpiryRule {
            strategy: column::<ExpiryStrategy>(row, 10)?,
            grace_days: row.get(11)?,
        },
        archived_at: row.get::<_, Option<i64>>(12)?.map(Timestamp::from_millis),
        licenses: row.get::<_, i64>(13)?.unsigned_abs(),
        generation: row.get::<_, i64>(14)?.unsigned_abs(),
        created_by: row.get(15)?,
        created_at: Timestamp::from_millis(row.get(16)?),
        updated_at: Timestamp::from_millis(row.get(17)?),
    })
}

/// Adds a plan.
///
/// # Errors
/// `name_taken`.
pub fn insert(tx: &Tx<'_>, plan: &PlanRow) -> Result<(), AppError> {
    let done = tx.sql().execute(
        "INSERT INTO plans (name, title, products, features, limits, max_users, max_api_keys, memory_mb, cpu_millis,
            disk_gb, expiry_strategy, grace_days, created_by, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)",
        params![
            plan.name.as_str(),
            plan.title,
            serde_json::to_string(&plan.gives.products)?,
            serde_json::to_string(&plan.gives.features)?,
            serde_json::to_string(&plan.gives.limits)?,
            plan.max_users,
            plan.max_api_keys,
            plan.quotas.memory_mb,
            plan.quotas.cpu_millis,
            plan.quotas.disk_gb,
            plan.expiry.strategy.as_str(),
            plan.expiry.grace_days,
            plan.created_by,
            tx.now().as_millis(),
        ],
    );
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(AppError::conflict(
            "name_taken",
            format!("there is already a plan named {}", plan.name),
        )
        .advice("choose another name, or change the plan with `freehold plan update`")),
        Err(error) => Err(error.into()),
    }
}

/// Writes a plan, if it still has the generation that it was read with.
///
/// # Errors
/// `transition_refused`.
pub fn update(tx: &Tx<'_>, plan: &PlanRow) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE plans SET title = ?3, products = ?4, features = ?5, limits = ?6, max_users = ?7, max_api_keys = ?8,
            memory_mb = ?9, cpu_millis = ?10, disk_gb = ?11, expiry_strategy = ?12, grace_days = ?13,
            archived_at = ?14, generation = generation + 1, updated_at = ?15
         WHERE name = ?1 AND generation = ?2",
        params![
            plan.name.as_str(),
            plan.generation.cast_signed(),
            plan.title,
            serde_json::to_string(&plan.gives.products)?,
            serde_json::to_string(&plan.gives.features)?,
            serde_json::to_string(&plan.gives.limits)?,
            plan.max_users,
            plan.max_api_keys,
            plan.quotas.memory_mb,
            plan.quotas.cpu_millis,
            plan.quotas.disk_gb,
            plan.expiry.strategy.as_str(),
            plan.expiry.grace_days,
            plan.archived_at.map(Timestamp::as_millis),
            tx.now().as_millis(),
        ],
    )?;
    licensing::touch(tx)?;
    expect_one(changed, "plan")
}

/// Deletes a plan that no license has.
///
/// # Errors
/// `transition_refused`.
pub fn delete(tx: &Tx<'_>, name: &BlueprintName) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "DELETE FROM plans WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM licenses WHERE plan = ?1)",
        [name.as_str()],
    )?;
    expect_one(changed, "plan")
}

/// The plan with this name.
///
/// # Errors
/// When the database fails.
pub fn by_name(read: &Read<'_>, name: &BlueprintName) -> Result<Option<PlanRow>, AppError> {
    let sql = format!("{SELECT} WHERE p.name = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([name.as_str()], of_row).optional()?)
}

/// Up to `limit` plans after the one named `after`, by name.
///
/// # Errors
/// When the database fails.
pub fn list(read: &Read<'_>, after: &str, limit: u32) -> Result<Vec<PlanRow>, AppError> {
    let sql = format!("{SELECT} WHERE p.name > ?1 ORDER BY p.name LIMIT ?2");
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
