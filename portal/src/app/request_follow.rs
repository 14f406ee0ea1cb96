//! What its job and its tenant make of a request, in the transaction that changes those.

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::TenantId,
    job::JobKind,
};
use serde_json::json;

use super::requests::record;
use crate::{
    db::{
        Tx,
        jobs::{self, JobRow},
        requests,
    },
    domain::{
        job::JobState,
        request::{RequestEvent, RequestStatus},
    },
    error::AppError,
};

/// Moves the request of a job to where the job's new state puts it.
pub(super) fn follow(tx: &Tx<'_>, job: &JobRow, state: JobState) -> Result<(), AppError> {
    if job.kind != JobKind::DeployTenant {
        return Ok(());
    }
    let Some(request) = requests::by_job(tx, job.id)? else {
        return if state == JobState::Succeeded { deployed_beside(tx, job) } else { Ok(()) };
    };
    let Some(next) = request.status.after(RequestEvent::Job(state)) else {
        return Err(AppError::bug("a request that nobody has approved has a job"));
    };
    // One that failed in another way than it was thought is noted again, for the reason.
    if next == request.status && next != RequestStatus::Failed {
        return Ok(());
    }
    let failure = match next {
        RequestStatus::Failed => jobs::get(tx, job.id)?.head.failure,
        _ => None,
    };
    requests::follow(tx, &request, next, request.job, failure.as_ref())?;
    let why = failure.as_ref().map(|failure| &failure.what);
    let detail = json!({ "from": request.status, "to": next, "job": job.id, "why": why });
    record(tx, "system", "request.follow", &request, detail)
}

/// Another deployment of a failed request's tenant has succeeded: there is nothing left to try again, and the
/// request says which job has done it, since that one was not the approved one.
fn deployed_beside(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    let Some(tenant) = job.tenant_id else { return Ok(()) };
    let Some(request) = requests::by_tenant(tx, tenant)? else { return Ok(()) };
    if request.status != RequestStatus::Failed {
        return Ok(());
    }
    let Some(next) = request.status.after(RequestEvent::Job(JobState::Succeeded)) else {
        return Err(AppError::bug("a failed request does not follow a job"));
    };
    let class = request.failure.as_ref().map_or(FailureClass::Request, |failure| failure.class);
    let why = request.failure.as_ref().map_or("for no reason that is known", |why| &why.what);
    let beside = Failure::new(
        class,
        format!(
            "the approved job failed: {why}; the job {} has deployed the tenant instead, which nobody had to approve",
            job.id
        ),
        "nothing is left to be done",
    );
    requests::follow(tx, &request, next, request.job, Some(&beside))?;
    let detail = json!({ "from": request.status, "to": next, "job": job.id, "why": beside.what });
    record(tx, "system", "request.follow", &request, detail)
}

/// Closes the request of a tenant that is forgotten or removed: there is nothing left to try again.
pub(super) fn tenant_gone(
    tx: &Tx<'_>,
    tenant: TenantId,
    why: &str,
    actor: &str,
) -> Result<(), AppError> {
    let Some(request) = requests::by_tenant(tx, tenant)? else { return Ok(()) };
    match request.status.after(RequestEvent::TenantGone) {
        Some(next) if next != request.status => {
            requests::follow(tx, &request, next, request.job, request.failure.as_ref())?;
            let detail = json!({ "from": request.status, "why": why });
            record(tx, actor, "request.withdraw", &request, detail)
        }
        Some(_) | None => Ok(()),
    }
}
