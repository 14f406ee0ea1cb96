//! Tenants: what is wanted, what is known, and the temporary password until it has been shown. What
//! jobs and inventories change in them is in `deployments.rs`.

use std::collections::BTreeMap;

use freehold_protocol::{
    disk::{ByteCount, DiskUse},
    ids::{BlueprintName, Domain, Email, HostId, HostName, JobId, Port, TenantId, TenantSlug},
    job::CertificateSource,
    report::TenantHealth,
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, is_unique_violation, licensing,
    row::{column, json, optional, optional_json},
};
use crate::{
    domain::{ids::LicenseId, tenant::TenantStatus},
    error::AppError,
};

/// A tenant as it is stored, with its host's name and its open job.
#[derive(Debug, Clone)]
pub struct TenantRow {
    /// Its identifier.
    pub id: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// Its name as people write it.
    pub name: String,
    /// The public address.
    pub domain: Domain,
    /// The host.
    pub host_id: HostId,
    /// The host's name.
    pub host: HostName,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The release that it is meant to run.
    pub release_wanted: u32,
    /// The release that runs.
    pub release_deployed: Option<u32>,
    /// Where it stands.
    pub status: TenantStatus,
    /// Values of the blueprint's settings.
    pub settings: BTreeMap<String, String>,
    /// The first admin's address.
    pub admin_email: Option<Email>,
    /// The first admin's name.
    pub admin_name: Option<String>,
    /// Whether that admin has been onboarded.
    pub onboarded: bool,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
    /// The license that it runs under.
    pub license: Option<LicenseId>,
    /// Addresses by name.
    pub endpoints: BTreeMap<String, String>,
    /// Host ports by role.
    pub ports: BTreeMap<String, Port>,
    /// The last health that was reported.
    pub health: Option<TenantHealth>,
    /// What it has on the disk, by the last count.
    pub disk: Option<DiskUse>,
    /// What the plan of its license gives, in GiB; none: whatever there is.
    pub disk_given_gb: Option<u32>,
    /// Volumes that a removal has left.
    pub kept_volumes: Vec<String>,
    /// Whether a temporary password is kept.
    pub credentials_waiting: bool,
    /// When it was shown.
    pub credentials_shown_at: Option<Timestamp>,
    /// The job that is queued, running or stuck for it.
    pub open_job: Option<JobId>,
    /// Version of the row.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
    /// Since when nothing is known of what its host holds of it: the host was revoked.
    pub unknown_since: Option<Timestamp>,
}

impl TenantRow {
    /// Whether something else is wanted of it than of the other: of what [`update_wanted`] writes.
    #[must_use]
    pub fn wants_other_than(&self, other: &Self) -> bool {
        let wanted = |row: &Self| {
            let Self { name, domain, settings, certificate, .. } = row.clone();
            (name, domain, settings, certificate, row.release_wanted, row.license)
        };
        wanted(self) != wanted(other)
    }
}

const SELECT: &str = "SELECT t.id, t.slug, t.name, t.domain, t.host_id, h.name, t.blueprint, t.release_wanted,
    t.release_deployed, t.status, t.settings, t.admin_email, t.admin_name, t.onboarded, t.certificate, t.endpoints,
    t.ports, t.health, t.kept_volumes, t.credentials_sealed IS NOT NULL, t.credentials_shown_at,
    (SELECT j.id FROM jobs j WHERE j.tenant_id = t.id
        AND j.state IN ('queued', 'leased', 'running', 'rollback_failed') ORDER BY j.id LIMIT 1),
    t.generation, t.created_by, t.created_at, t.updated_at, t.removed_at, t.license_id, t.unknown_since,
    t.disk_used_bytes, t.disk_measured_at,
    (SELECT p.disk_gb FROM licenses l JOIN plans p ON p.name = l.plan WHERE l.id = t.license_id)
    FROM tenants t JOIN hosts h ON h.id = t.host_id";

fn disk(used: Option<i64>, at: Option<Timestamp>) -> Option<DiskUse> {
    Some(DiskUse { used_bytes: ByteCount::saturating(used?.unsigned_abs()), at: at? })
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<TenantRow> {
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(TenantRow {
        id: column(row, 0)?,
        slug: column(row, 1)?,
        name: row.get(2)?,
        domain: column(row, 3)?,
        host_id: column(row, 4)?,
        host: column(row, 5)?,
        blueprint: column(row, 6)?,
        release_wanted: row.get(7)?,
        release_deployed: row.get(8)?,
        status: column(row, 9)?,
        settings: json(row, 10)?,
        admin_email: optional(row, 11)?,
        admin_name: row.get(12)?,
        onboarded: row.get(13)?,
        certificate: json(row, 14)?,
        endpoints: json(row, 15)?,
        ports: json(row, 16)?,
        health: optional_json(row, 17)?,
        kept_volumes: json(row, 18)?,
        credentials_waiting: row.get(19)?,
        credentials_shown_at: time(row.get(20)?),
        open_job: optional(row, 21)?,
        generation: row.get::<_, i64>(22)?.unsigned_abs(),
        created_by: row.get(23)?,
        created_at: Timestamp::from_millis(row.get(24)?),
        updated_at: Timestamp::from_millis(row.get(25)?),
        removed_at: time(row.get(26)?),
        license: optional(row, 27)?,
        unknown_since: time(row.get(28)?),
        disk: disk(row.get(29)?, time(row.get(30)?)),
        disk_given_gb: row.get(31)?,
    })
}

/// Which tenants a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this status; removed ones are left out unless asked for.
    pub status: Option<TenantStatus>,
    /// Only those on this host.
    pub host: Option<HostName>,
    /// Only those of this blueprint.
    pub blueprint: Option<BlueprintName>,
    /// Only this very one.
    pub only: Option<TenantId>,
}

/// A name or an address that another tenant has.
fn taken(error: rusqlite::Error) -> AppError {
    if !is_unique_violation(&error) {
        return error.into();
    }
    // SQLite names the index's columns in the text only, and no error is told apart by its text:
    // app::tenants looks for the two values before; this is the race that it cannot see.
    AppError::conflict("name_taken", "another tenant has this slug or this domain")
        .advice("choose another one, or remove the other tenant first")
        .because(error)
}

/// Adds a tenant. Of `tenant` the wanted half is written; what runs is empty at first.
///
/// # Errors
/// `name_taken`.
pub fn insert(tx: &Tx<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    tx.sql()
        .execute(
            "INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, status, settings,
                admin_email, admin_name, certificate, created_by, created_at, updated_at, license_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?15)",
            params![
                tenant.id.to_string(),
                tenant.slug.as_str(),
                tenant.name,
                tenant.domain.as_str(),
                tenant.host_id.to_string(),
                tenant.blueprint.as_str(),
                tenant.release_wanted,
                tenant.status.as_str(),
                serde_json::to_string(&tenant.settings)?,
                tenant.admin_email.as_ref().map(Email::as_str),
                tenant.admin_name,
                serde_json::to_string(&tenant.certificate)?,
                tenant.created_by,
                tx.now().as_millis(),
                tenant.license.map(|id| id.to_string()),
            ],
        )
        .map_err(taken)?;
    Ok(())
}

/// Writes what is wanted of a tenant, if it still has the generation that `tenant` was read with.
///
/// # Errors
/// `transition_refused`, `name_taken`.
pub fn update_wanted(tx: &Tx<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .execute(
            "UPDATE tenants SET name = ?3, domain = ?4, release_wanted = ?5, settings = ?6, certificate = ?7,
                license_id = ?9, generation = generation + 1, updated_at = ?8
             WHERE id = ?1 AND generation = ?2",
            params![
                tenant.id.to_string(),
                tenant.generation.cast_signed(),
                tenant.name,
                tenant.domain.as_str(),
                tenant.release_wanted,
                serde_json::to_string(&tenant.settings)?,
                serde_json::to_string(&tenant.certificate)?,
                tx.now().as_millis(),
                tenant.license.map(|id| id.to_string()),
            ],
        )
        .map_err(taken)?;
    // Which license a tenant's API keys may ask for may have changed.
    licensing::touch(tx)?;
    expect_one(changed, "tenant")
}

/// The tenant with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: TenantId) -> Result<Option<TenantRow>, AppError> {
    let sql = format!("{SELECT} WHERE t.id = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([id.to_string()], of_row).optional()?)
}

/// The tenant with this slug: the one that is not removed, or else the one removed last.
///
/// # Errors
/// When the database fails.
pub fn by_slug(read: &Read<'_>, slug: &TenantSlug) -> Result<Option<TenantRow>, AppError> {
    let sql =
        format!("{SELECT} WHERE t.slug = ?1 ORDER BY t.status = 'removed', t.id DESC LIMIT 1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([slug.as_str()], of_row).optional()?)
}

/// The tenant that has this address and is not removed.
///
/// # Errors
/// When the database fails.
pub fn by_domain(read: &Read<'_>, domain: &Domain) -> Result<Option<TenantRow>, AppError> {
    let sql = format!("{SELECT} WHERE t.domain = ?1 AND t.status <> 'removed'");
    Ok(read.sql().query_row(&sql, [domain.as_str()], of_row).optional()?)
}

/// Up to `limit` tenants after the one with identifier `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    filter: &Filter,
    after: &str,
    limit: u32,
) -> Result<Vec<TenantRow>, AppError> {
    let sql = format!(
        "{SELECT} WHERE t.id > ?1 AND (?2 IS NULL AND t.status <> 'removed' OR t.status = ?2)
            AND (?3 IS NULL OR h.name = ?3) AND (?4 IS NULL OR t.blueprint = ?4)
            AND (?6 IS NULL OR t.id = ?6)
         ORDER BY t.id LIMIT ?5"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            after,
            filter.status.map(TenantStatus::as_str),
            filter.host.as_ref().map(HostName::as_str),
            filter.blueprint.as_ref().map(BlueprintName::as_str),
            limit,
            filter.only.map(|id| id.to_string()),
        ],
        of_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many tenants are on a host or meant for it.
///
/// # Errors
/// When the database fails.
pub fn count_on_host(read: &Read<'_>, host: HostId) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM tenants WHERE host_id = ?1 AND status <> 'removed'",
        [host.to_string()],
        |row| row.get(0),
    )?)
}

/// The temporary password under the master key, and the version of its place.
///
/// # Errors
/// When the database fails.
pub fn credentials(
    read: &Read<'_>,
    id: TenantId,
) -> Result<Option<(Vec<u8>, Timestamp)>, AppError> {
    Ok(read
        .sql()
        .query_row(
            "SELECT credentials_sealed, coalesce(credentials_at, 0) FROM tenants
             WHERE id = ?1 AND credentials_sealed IS NOT NULL",
            [id.to_string()],
            |row| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?))),
        )
        .optional()?)
}

/// Erases the temporary password, which somebody is about to see.
///
/// # Errors
/// `transition_refused` when it is gone already.
pub fn erase_credentials(tx: &Tx<'_>, id: TenantId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE tenants SET credentials_sealed = NULL, credentials_shown_at = ?2
         WHERE id = ?1 AND credentials_sealed IS NOT NULL",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    expect_one(changed, "temporary password")
}

/// Deletes a tenant, with its jobs, that is in `status` and has no open job.
///
/// # Errors
/// `transition_refused`.
pub fn delete(tx: &Tx<'_>, id: TenantId, status: TenantStatus) -> Result<(), AppError> {
    tx.sql().execute(
        "DELETE FROM jobs WHERE tenant_id = ?1 AND state NOT IN ('queued', 'leased', 'running', 'rollback_failed')",
        [id.to_string()],
    )?;
    let changed = tx.sql().execute(
        "DELETE FROM tenants WHERE id = ?1 AND status = ?2
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE tenant_id = ?1)",
        params![id.to_string(), status.as_str()],
    )?;
    // Its API keys are gone with it.
    licensing::touch(tx)?;
    expect_one(changed, "tenant")
}
