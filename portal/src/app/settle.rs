//! A job comes to rest without a report: the tenant follows, and the audit log says why.

use freehold_protocol::{failure::Failure, ids::TenantId};
use serde_json::json;

use super::request_follow;
use crate::{
    db::{
        Tx,
        audit::{self, Entry},
        deployments,
        jobs::{self, JobRow, Rest},
    },
    domain::{
        job::JobState,
        tenant::{self, TenantStatus},
    },
    error::AppError,
};

/// Brings a job to rest and its tenant to the status that follows.
pub(super) fn settle(
    tx: &Tx<'_>,
    job: &JobRow,
    state: JobState,
    failure: &Failure,
    actor: &str,
) -> Result<(), AppError> {
    jobs::rest(tx, job, &Rest { state, failure: Some(failure), result: None, started_at: None })?;
    if let Some(tenant) = job.tenant_id {
        follow(tx, tenant, job, state)?;
    }
    record(tx, job, state, &failure.what, actor)
}

/// The audit row of a job that came to rest without its own report, or was put right by a late one.
pub(super) fn record(
    tx: &Tx<'_>,
    job: &JobRow,
    state: JobState,
    why: &str,
    actor: &str,
) -> Result<(), AppError> {
    audit::append(
        tx,
        &Entry {
            actor,
            action: "job.settle",
            object_kind: "job",
            object_id: &job.id.to_string(),
            detail: json!({ "kind": job.kind, "from": job.state, "to": state, "why": why }),
        },
    )
}

/// Moves a tenant to the status that follows from its job's state, and the request that brought it.
pub(super) fn follow(
    tx: &Tx<'_>,
    tenant: TenantId,
    job: &JobRow,
    state: JobState,
) -> Result<(), AppError> {
    if let Some(standing) = deployments::standing(tx, tenant)? {
        let deployed = standing.release_deployed.is_some();
        let next = tenant::after_job(job.kind, state, standing.status, deployed);
        deployments::set_status(tx, tenant, standing.status, next)?;
        if next == TenantStatus::Removed {
            request_follow::tenant_gone(tx, tenant, "its tenant was removed", "system")?;
        }
    }
    request_follow::follow(tx, job, state)
}
