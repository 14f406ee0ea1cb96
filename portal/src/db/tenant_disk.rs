//! What tenants have on the disks of their hosts, beside what their plans give.

use freehold_protocol::{
    disk::DiskUse,
    ids::{HostId, TenantId, TenantSlug},
};
use rusqlite::params;

use super::{Read, Tx, codec::Cells};
use crate::{domain::disk::GIB, error::AppError};

/// A count of a later time than this, from now, is none: the host's idea of time is wrong, and nothing
/// would be newer for long.
const FUTURE_SECS: i64 = 300;
/// Least time between two crossings of one tenant that are told. A host that says now this and now that
/// must not fill the audit log.
const TOLD_SECS: i64 = 600;

/// A tenant that has passed the limit of its plan, one way or the other, since it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// What it has, in bytes.
    pub used: i64,
    /// The plan of its license, while it has one.
    pub plan: Option<String>,
    /// What that gives, in GiB; none: whatever there is.
    pub given_gb: Option<u32>,
    /// Whether it has more than that now.
    pub is_over: bool,
}

/// Notes what a tenant has, unless a newer count is known, another host has the tenant, or it was removed.
/// So is a count of the future passed over.
///
/// # Errors
/// When the database fails.
pub fn note(tx: &Tx<'_>, host: HostId, tenant: TenantId, disk: DiskUse) -> Result<(), AppError> {
    if disk.at > tx.now().plus_secs(FUTURE_SECS) {
        return Ok(());
    }
    tx.sql()
        .prepare_cached(
            "UPDATE tenants SET disk_used_bytes = ?3, disk_measured_at = ?4
              WHERE id = ?1 AND host_id = ?2 AND coalesce(disk_measured_at, 0) < ?4 AND status <> 'removed'",
        )?
        .execute(params![
            tenant.to_string(),
            host.to_string(),
            disk.used_bytes.get().cast_signed(),
            disk.at.as_millis(),
        ])?;
    Ok(())
}

/// Finds the tenants of a host that have passed their limit, and remembers that they have been found: a
/// tenant of which that was told lately is found when some time has gone by, if it is still so.
///
/// # Errors
/// When the database fails.
pub fn crossings(tx: &Tx<'_>, host: HostId) -> Result<Vec<Crossing>, AppError> {
    let found = {
        let mut statement = tx.sql().prepare_cached(
            "SELECT id, slug, disk_used_bytes, plan, disk_gb, over FROM (
                SELECT t.id, t.slug, t.disk_used_bytes, l.plan, p.disk_gb, t.disk_told_over AS known,
                       coalesce(t.disk_used_bytes > p.disk_gb * ?2, 0) AS over
                  FROM tenants t LEFT JOIN licenses l ON l.id = t.license_id LEFT JOIN plans p ON p.name = l.plan
                 WHERE t.host_id = ?1 AND t.status <> 'removed' AND t.disk_used_bytes IS NOT NULL
                   AND coalesce(t.disk_told_at, 0) <= ?3)
              WHERE over <> known ORDER BY id",
        )?;
        let told_before = tx.now().plus_secs(-TOLD_SECS).as_millis();
        let mut rows =
            statement.query(params![host.to_string(), GIB.cast_signed(), told_before])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut cells = Cells::of(row);
            found.push(Crossing {
                tenant: cells.text()?,
                slug: cells.text()?,
                used: cells.get()?,
                plan: cells.get()?,
                given_gb: cells.get()?,
                is_over: cells.get()?,
            });
        }
        found
    };
    for crossing in &found {
        tx.sql().execute(
            "UPDATE tenants SET disk_told_over = ?2, disk_told_at = ?3 WHERE id = ?1",
            params![crossing.tenant.to_string(), crossing.is_over, tx.now().as_millis()],
        )?;
    }
    Ok(found)
}

/// Forgets what a tenant had: nothing of it is left.
///
/// # Errors
/// When the database fails.
pub fn forget(tx: &Tx<'_>, tenant: TenantId) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE tenants SET disk_used_bytes = NULL, disk_measured_at = NULL, disk_told_over = 0 WHERE id = ?1",
        [tenant.to_string()],
    )?;
    Ok(())
}

/// How many tenants have more on the disk than their plans give.
///
/// # Errors
/// When the database fails.
pub fn count_over(read: &Read<'_>) -> Result<u32, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT count(*) FROM tenants t JOIN licenses l ON l.id = t.license_id JOIN plans p ON p.name = l.plan
              WHERE t.status <> 'removed' AND t.disk_used_bytes > p.disk_gb * ?1",
        )?
        .query_row([GIB.cast_signed()], |row| row.get(0))?)
}
