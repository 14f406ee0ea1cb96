//! What runs is deployed again, to bring what the portal delivers by now: with the release, settings,
//! address and certificate that it runs with, whatever is wanted of the tenant meanwhile. Somebody who
//! replaces a key that has leaked must not have to settle open wishes first, nor carry them out with it.

use freehold_protocol::{
    ids::JobId,
    job::{DeployTenant, Work},
};

use super::{
    app_env,
    queue_job::{JobRules, QueueJob},
    tenant_license,
    tenant_work::{deployment, first_admin, not_deployed, refuse_if_busy},
};
use crate::{
    db::{Read, Tx, running_work, tenants::TenantRow},
    domain::tenant::TenantStatus,
    error::AppError,
};

/// What a tenant runs; none when it runs nothing.
///
/// # Errors
/// As those of a deploy of the release that runs, when it is not known with what it was deployed.
pub(super) fn running(
    read: &Read<'_>,
    tenant: &TenantRow,
) -> Result<Option<Box<DeployTenant>>, AppError> {
    let number = tenant.release_deployed.filter(|_| tenant.status != TenantStatus::Removed);
    let Some(number) = number else { return Ok(None) };
    if let Some(Work::DeployTenant(mut deploy)) = running_work::of(read, tenant.id)?
        && deploy.release.number == number
    {
        deploy.admin = first_admin(tenant);
        return Ok(Some(deploy));
    }
    // It was deployed before such was kept, and its job is forgotten.
    match deployment(read, tenant, number)? {
        Work::DeployTenant(deploy) => Ok(Some(deploy)),
        _ => Ok(None),
    }
}

/// Queues the deploy of what a tenant runs. It takes no more of the host than it does already, so the
/// plan's bounds are not looked at: only whether the license is good, without which no job of it is handed
/// out, and whether the app can be given what it needs.
///
/// # Errors
/// A tenant that is busy or not deployed; `license_not_valid` (409); `/license` (422).
pub(super) fn redeploy(
    tx: &Tx<'_>,
    tenant: &TenantRow,
    running: Option<Box<DeployTenant>>,
    actor: String,
    rules: JobRules,
) -> Result<JobId, AppError> {
    let deploy = running.ok_or_else(|| not_deployed(tenant))?;
    refuse_if_busy(tenant)?;
    tenant_license::worth_something(tx, tenant)?;
    app_env::admit(tx, tenant, &deploy.blueprint)?;
    let work = Work::DeployTenant(deploy).into();
    QueueJob { host: tenant.host_id, work, actor, rules }.apply(tx)
}
