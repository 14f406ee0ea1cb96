//! What jobs and inventories change in a tenant: its status and what is known of its deployment.
//! The rest of the tenants' SQL is in `tenants.rs`.

use freehold_protocol::{
    ids::{BlueprintName, HostId, TenantId},
    report::{Deployed, Removed, TenantHealth},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::{Read, Tx, codec, expect_one, licensing};
use crate::{domain::tenant::TenantStatus, error::AppError};

/// What the status rules need to know of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Status.
    pub status: TenantStatus,
    /// The release that runs, if one does.
    pub release_deployed: Option<u32>,
    /// Its host.
    pub host_id: HostId,
    /// Version of its sealed credentials' place.
    pub credentials_at: Option<Timestamp>,
}

/// How a tenant stands; `None` when it was deleted.
///
/// # Errors
/// When the database fails.
pub fn standing(read: &Read<'_>, tenant: TenantId) -> Result<Option<Standing>, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT status, release_deployed, host_id, credentials_at FROM tenants WHERE id = ?1",
        )?
        .query_row([tenant.to_string()], |row| {
            Ok(Standing {
                status: row.get("status")?,
                release_deployed: row.get("release_deployed")?,
                host_id: codec::text(row, "host_id")?,
                credentials_at: codec::time_opt(row, "credentials_at")?,
            })
        })
        .optional()?)
}

/// Whether a tenant has ever run.
///
/// # Errors
/// When the database fails.
pub fn was_deployed(read: &Read<'_>, tenant: TenantId) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached("SELECT 1 FROM tenants WHERE id = ?1 AND deployed_at IS NOT NULL")?
        .exists([tenant.to_string()])?)
}

/// How many tenants of a host run a release, or are on their way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupants {
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The number of the release.
    pub release: u32,
    /// The tenants.
    pub tenants: Vec<TenantId>,
}

/// The tenants that take something of a host, by release: those that run there, and those that a job brings
/// there. One that was only added, or whose first deployment was undone, takes nothing.
///
/// # Errors
/// When the database fails.
pub fn occupants(read: &Read<'_>, host: HostId) -> Result<Vec<Occupants>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT blueprint, release, id FROM (
            SELECT t.id, t.blueprint, CASE WHEN EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = t.id
                    AND j.kind = 'deploy_tenant' AND j.state IN ('queued', 'leased', 'running', 'rollback_failed'))
                THEN t.release_wanted ELSE t.release_deployed END AS release
              FROM tenants t WHERE t.host_id = ?1 AND t.status <> 'removed')
          WHERE release IS NOT NULL ORDER BY blueprint, release, id",
    )?;
    let mut rows = statement.query([host.to_string()])?;
    let mut found: Vec<Occupants> = Vec::new();
    while let Some(row) = rows.next()? {
        let mut cells = codec::Cells::of(row);
        let (blueprint, release) = (cells.text()?, cells.get()?);
        let tenant = cells.text()?;
        match found.last_mut() {
            Some(last) if last.blueprint == blueprint && last.release == release => {
                last.tenants.push(tenant);
            }
            _ => found.push(Occupants { blueprint, release, tenants: vec![tenant] }),
        }
    }
    Ok(found)
}

/// Moves a tenant from one status to another.
///
/// # Errors
/// `transition_refused`.
pub fn set_status(
    tx: &Tx<'_>,
    tenant: TenantId,
    from: TenantStatus,
    to: TenantStatus,
) -> Result<(), AppError> {
    if from == to {
        return Ok(());
    }
    let removed_at = (to == TenantStatus::Removed).then(|| tx.now().as_millis());
    let changed = tx.sql().execute(
        "UPDATE tenants SET status = ?3, updated_at = ?4, removed_at = ?5, generation = generation + 1
          WHERE id = ?1 AND status = ?2",
        params![tenant.to_string(), from, to, tx.now().as_millis(), removed_at],
    )?;
    if from == TenantStatus::Removed || to == TenantStatus::Removed {
        // A removed tenant's API keys are good for nothing.
        licensing::touch(tx)?;
    }
    expect_one(changed, "tenant")
}

/// Notes what a deploy made.
///
/// # Errors
/// When the database fails.
pub fn note_deployed(
    tx: &Tx<'_>,
    tenant: TenantId,
    deployed: &Deployed,
    onboarded: bool,
) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenants SET release_deployed = ?2, endpoints = ?3, ports = ?4, health = ?5, health_at = ?6,
                onboarded = max(onboarded, ?7), kept_volumes = '[]', unknown_since = NULL,
                deployed_at = coalesce(deployed_at, ?8), updated_at = ?8 WHERE id = ?1",
        params![
            tenant.to_string(),
            deployed.release.number,
            codec::to_json(&deployed.endpoints)?,
            codec::to_json(&deployed.ports)?,
            codec::to_json(&deployed.health)?,
            deployed.health.at.as_millis(),
            onboarded,
            tx.now().as_millis(),
        ],
    )?;
    expect_one(changed, "tenant")
}

/// Notes what a removal left.
///
/// # Errors
/// When the database fails.
pub fn note_removed(tx: &Tx<'_>, tenant: TenantId, removed: &Removed) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenants SET release_deployed = NULL, endpoints = '{}', ports = '{}', health = NULL, health_at = NULL,
                kept_volumes = ?2, credentials_sealed = NULL, unknown_since = NULL, updated_at = ?3 WHERE id = ?1",
        params![tenant.to_string(), codec::to_json(&removed.kept_volumes)?, tx.now().as_millis()],
    )?;
    expect_one(changed, "tenant")
}

/// Notes a tenant's health, unless a newer look is already known or another host has it. What it has on
/// the disk is kept apart (`tenant_disk`): it is counted at other times.
///
/// # Errors
/// When the database fails.
pub fn note_health(tx: &Tx<'_>, host: HostId, health: &TenantHealth) -> Result<(), AppError> {
    let health = &TenantHealth { disk: None, ..health.clone() };
    tx.sql()
        .prepare_cached(
            "UPDATE tenants SET health = ?3, health_at = ?4, unknown_since = NULL
              WHERE id = ?1 AND host_id = ?2 AND coalesce(health_at, 0) < ?4 AND status <> 'removed'",
        )?
        .execute(params![
            health.tenant.to_string(),
            host.to_string(),
            codec::to_json(health)?,
            health.at.as_millis(),
        ])?;
    Ok(())
}

/// Notes of every tenant that a host may hold something of that nothing is known of it from now on.
/// Says how many they are.
///
/// # Errors
/// When the database fails.
pub fn note_unknown(tx: &Tx<'_>, host: HostId) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "UPDATE tenants SET unknown_since = ?2, updated_at = ?2, generation = generation + 1
          WHERE host_id = ?1 AND unknown_since IS NULL
            AND (status NOT IN ('pending', 'removed') OR release_deployed IS NOT NULL OR kept_volumes <> '[]')",
        params![host.to_string(), tx.now().as_millis()],
    )?)
}

/// Keeps a tenant's temporary password under the master key; sealed for the place
/// `tenants/credentials_sealed`, version = `at` in milliseconds.
///
/// # Errors
/// When the database fails.
pub fn keep_credentials(
    tx: &Tx<'_>,
    tenant: TenantId,
    sealed: &[u8],
    at: Timestamp,
) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenants SET credentials_sealed = ?2, credentials_at = ?3, credentials_shown_at = NULL WHERE id = ?1",
        params![tenant.to_string(), sealed, at.as_millis()],
    )?;
    expect_one(changed, "tenant")
}
