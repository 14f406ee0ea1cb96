//! Another try of a provision request that was approved and failed, and what keeps its tenant as it was approved.

use freehold_protocol::{
    ids::{JobId, ProvisionRequestId, TenantSlug},
    job::Work,
};
use serde_json::json;

use super::{
    jobs_admin::RetryJob,
    queue_job::{JobRules, QueueJob, refuse_revoked},
    requests::{find, next, record, with_another_license},
    tenant_license,
    tenant_work::{refuse_if_busy, removed},
};
use crate::{
    db::{
        Read, Tx, deployments, hosts, job_views, jobs,
        requests::{self, RequestRow},
        tenants::{self, TenantRow},
    },
    domain::{
        job::JobState,
        request::{RequestEvent, RequestStatus},
        tenant::TenantStatus,
    },
    error::AppError,
};

/// Somebody wants what was approved tried again.
#[derive(Debug)]
pub struct Retry {
    /// Which.
    pub id: ProvisionRequestId,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Retry {
    /// Queues the very same work again. Nobody has to approve it a second time.
    ///
    /// # Errors
    /// A request that has not failed; a tenant that was removed, or deployed otherwise; a license that is worth
    /// nothing now; a revoked host; what [`RetryJob`] refuses.
    pub fn apply(self, tx: &Tx<'_>) -> Result<RequestRow, AppError> {
        let request = find(tx, self.id)?;
        if request.status != RequestStatus::Failed {
            next(&request, RequestEvent::Approve, "tried again")?;
            return Err(AppError::conflict(
                "request_status",
                format!("the request {} has not been approved yet", request.id),
            )
            .advice(format!("approve it: `freehold request approve {}`", request.id)));
        }
        let tenant = tenants::by_id(tx, request.tenant)?
            .ok_or_else(|| AppError::bug("the tenant of a failed request is gone"))?;
        if tenant.status == TenantStatus::Removed {
            return Err(removed(&tenant));
        }
        refuse_if_overtaken(tx, &tenant, request.job, self.rules)?;
        let job = match request.job {
            Some(job) if jobs::exists(tx, job)? => {
                RetryJob { id: job, actor: self.actor.clone(), rules: self.rules }.apply(tx)?;
                job
            }
            Some(_) | None => queue_anew(tx, &request, tenant, &self)?,
        };
        record(tx, &self.actor, "request.retry", &request, json!({ "job": job }))?;
        find(tx, self.id)
    }
}

/// The job was deleted meanwhile: the same work in a new one.
fn queue_anew(
    tx: &Tx<'_>,
    request: &RequestRow,
    tenant: TenantRow,
    retry: &Retry,
) -> Result<JobId, AppError> {
    refuse_if_busy(&tenant)?;
    let work = requests::work(tx, request.id)?;
    may_be_queued(tx, tenant, Some(request), &work)?;
    let queue =
        QueueJob { host: request.host_id, work, actor: retry.actor.clone(), rules: retry.rules };
    let job = queue.apply(tx)?;
    let status = next(request, RequestEvent::Job(JobState::Queued), "tried again")?;
    requests::follow(tx, request, status, Some(job), None)?;
    Ok(job)
}

/// What is looked at again before a deployment that was asked for earlier is queued once more: the host, the
/// license, and, of one that was approved, that its tenant still is what was approved.
///
/// # Errors
/// `host_revoked`, `license_not_valid`, `approved_as_is`, and what the license's plan does not give (422).
pub(super) fn may_be_queued(
    tx: &Tx<'_>,
    mut tenant: TenantRow,
    request: Option<&RequestRow>,
    work: &Work,
) -> Result<(), AppError> {
    let Work::DeployTenant(deploy) = work else { return Ok(()) };
    refuse_revoked(&hosts::get(tx, tenant.host_id)?)?;
    let release = (deploy.release.number, &deploy.blueprint);
    let Some(request) = request else {
        return tenant_license::allow_deploy(tx, &tenant, release);
    };
    if !is_as_approved(&tenant, request) {
        return Err(approved_as_is(&tenant, request));
    }
    tenant_license::allow_deploy(tx, &tenant, release).map_err(with_another_license)?;
    // A deployment beside the request may have wanted another; what is promised of the host goes by this one.
    if tenant.release_wanted != request.release {
        tenant.release_wanted = request.release;
        tenants::update_wanted(tx, &tenant)?;
    }
    Ok(())
}

/// Whether what the portal adds to the approved work by itself is what was approved.
pub(super) fn is_as_approved(tenant: &TenantRow, request: &RequestRow) -> bool {
    tenant.license == Some(request.license) && tenant.domain == request.domain
}

/// Refuses to change a tenant whose approved deployment has not been done.
///
/// # Errors
/// `approved_as_is`.
pub(super) fn refuse_if_bound(read: &Read<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    match requests::by_tenant(read, tenant.id)? {
        Some(request)
            if matches!(request.status, RequestStatus::Approved | RequestStatus::Failed)
                && !deployments::was_deployed(read, tenant.id)? =>
        {
            Err(approved_as_is(tenant, &request))
        }
        Some(_) | None => Ok(()),
    }
}

/// The refusal of anything else than what was approved.
pub(super) fn approved_as_is(tenant: &TenantRow, request: &RequestRow) -> AppError {
    let slug = &tenant.slug;
    AppError::conflict(
        "approved_as_is",
        format!(
            "the tenant {slug} is deployed first as it was approved with the request {}",
            request.id
        ),
    )
    .advice(format!(
        "change it once it runs; or cancel its job, forget it (`freehold tenant forget {slug}`) and ask for it anew with `freehold request create`"
    ))
}

/// Refuses to try a tenant's job again when a newer one has changed the tenant.
///
/// # Errors
/// `overtaken`, with the way that is open.
pub(super) fn refuse_if_overtaken(
    read: &Read<'_>,
    tenant: &TenantRow,
    job: Option<JobId>,
    rules: JobRules,
) -> Result<(), AppError> {
    let overtaken = match job {
        Some(job) => job_views::is_overtaken(read, job, tenant.id)?,
        None => false,
    };
    if !overtaken {
        return Ok(());
    }
    let slug = &tenant.slug;
    let next = if !rules.approval_required || deployments::was_deployed(read, tenant.id)? {
        format!("queue a new one: `freehold tenant deploy {slug}`")
    } else {
        anew(slug)
    };
    let what = format!("a newer job has changed the tenant {slug} since");
    Err(AppError::conflict("overtaken", what).advice(next))
}

/// The way to a first deployment for a tenant whose own request does not lead there any more.
pub(super) fn anew(slug: &TenantSlug) -> String {
    format!(
        "forget this tenant (`freehold tenant forget {slug}`) and ask for it with `freehold request create`"
    )
}
