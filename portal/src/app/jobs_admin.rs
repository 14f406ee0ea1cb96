//! What admins do to jobs: cancel, retry, resume, delete.

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::JobId,
    job::JobKind,
};
use serde_json::json;

use super::{
    queue_job::JobRules,
    request_retry::{may_be_queued, refuse_if_overtaken},
    settle::follow,
    tenant_work::approval_required,
};
use crate::{
    api::jobs::MAX_REASON_BYTES,
    db::{
        Tx,
        audit::{self, Entry},
        deployments, hosts,
        jobs::{self, JobRow, Rest},
        requests, tenants,
    },
    domain::{job::JobState, tenant::TenantStatus},
    error::AppError,
};

/// How long a resumed job's agent has to come and fetch the order, in seconds.
const RESUME_LEASE_SECS: i64 = 300;

fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &'static str,
    job: &JobRow,
    reason: &str,
) -> Result<(), AppError> {
    audit::append(
        tx,
        &Entry {
            actor,
            action,
            object_kind: "job",
            object_id: &job.id.to_string(),
            detail: json!({ "kind": job.kind.as_str(), "state": job.state.as_str(), "reason": reason }),
        },
    )
}

/// Moves the tenant of a job to where the job's new state puts it.
fn move_tenant(tx: &Tx<'_>, job: &JobRow, state: JobState) -> Result<(), AppError> {
    job.tenant_id.map_or(Ok(()), |tenant| follow(tx, tenant, job, state))
}

fn wake(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    if let Some(agent) = hosts::get(tx, job.host_id)?.agent_id {
        tx.wake(agent);
    }
    Ok(())
}

/// Somebody wants a job stopped.
#[derive(Debug)]
pub struct CancelJob {
    /// Which.
    pub id: JobId,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub actor: String,
}

impl CancelJob {
    /// Cancels it at once when no agent has it; else asks its agent to stop and undo. Asking twice
    /// is harmless.
    ///
    /// # Errors
    /// When it is at rest.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        if self.reason.len() > MAX_REASON_BYTES || self.reason.chars().any(char::is_control) {
            return Err(AppError::invalid(
                "/reason",
                format!("use one line of at most {MAX_REASON_BYTES} bytes"),
            ));
        }
        let job = jobs::get(tx, self.id)?;
        match job.state {
            JobState::Queued => {
                let failure = Failure::new(
                    FailureClass::Cancelled,
                    cancelled_because(&self.actor, &self.reason),
                    format!("queue it again with `freehold job retry {}`", job.id),
                );
                let rest = Rest {
                    state: JobState::Cancelled,
                    failure: Some(&failure),
                    result: None,
                    started_at: None,
                };
                jobs::rest(tx, &job, &rest)?;
                move_tenant(tx, &job, JobState::Cancelled)?;
            }
            JobState::Leased | JobState::Running => {
                jobs::request_cancel(tx, &job, &self.reason)?;
                wake(tx, &job)?;
            }
            JobState::RollbackFailed => {
                return Err(at_rest(&job).advice(format!(
                    "it is stuck: look at its failure, mend the host, then `freehold job resume {}`",
                    job.id
                )));
            }
            JobState::Succeeded
            | JobState::Failed
            | JobState::RolledBack
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Dead => return Err(at_rest(&job)),
        }
        record(tx, &self.actor, "job.cancel", &job, &self.reason)
    }
}

fn cancelled_because(actor: &str, reason: &str) -> String {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("cancelled by {actor} before it was started{because}")
}

fn at_rest(job: &JobRow) -> AppError {
    AppError::conflict("job_at_rest", format!("job {} has come to rest: {}", job.id, job.state))
}

/// Somebody wants a job at rest done once more.
#[derive(Debug)]
pub struct RetryJob {
    /// Which.
    pub id: JobId,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl RetryJob {
    /// Queues it anew with fresh attempts.
    ///
    /// # Errors
    /// When it is not at rest, has succeeded, is stuck, or a newer job has overtaken it; of a deployment, when its
    /// host was given up, its tenant's license is worth nothing now, or the tenant is not what was approved.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let mut job = jobs::get(tx, self.id)?;
        if !job.state.can_requeue() {
            let error =
                AppError::conflict("cannot_retry", format!("job {} is {}", job.id, job.state));
            return Err(match job.state {
                JobState::Succeeded => error.advice("queue a new job instead"),
                JobState::RollbackFailed => error.advice(format!(
                    "it is stuck: mend the host, then `freehold job resume {}`",
                    job.id
                )),
                _ => error.advice("wait until it has come to rest"),
            });
        }
        if let Some(id) = job.tenant_id {
            let tenant =
                tenants::by_id(tx, id)?.filter(|tenant| tenant.status != TenantStatus::Removed);
            let Some(tenant) = tenant else {
                return Err(AppError::conflict("tenant_removed", "the job's tenant was removed"));
            };
            if let Some(open) = tenant.open_job {
                return Err(AppError::conflict(
                    "tenant_busy",
                    format!("job {open} of the same tenant is not at rest"),
                ));
            }
            if self.rules.approval_required
                && job.kind == JobKind::DeployTenant
                && requests::approval(tx, job.id)?.is_none()
                && !deployments::was_deployed(tx, id)?
            {
                return Err(approval_required(tx, &tenant)?);
            }
            refuse_if_overtaken(tx, &tenant, Some(job.id), self.rules)?;
            may_be_queued(tx, tenant, requests::by_job(tx, job.id)?.as_ref(), &job.work)?;
        }
        let max_attempts = job.attempt.saturating_add(self.rules.max_attempts);
        job.head.expiry_secs = self.rules.expiry_secs;
        jobs::next_attempt(tx, &job, tx.now(), max_attempts, None)?;
        move_tenant(tx, &job, JobState::Queued)?;
        wake(tx, &job)?;
        record(tx, &self.actor, "job.retry", &job, "")
    }
}

/// Somebody has mended a host and wants a stuck job's undo tried again.
#[derive(Debug)]
pub struct ResumeJob {
    /// Which.
    pub id: JobId,
    /// Who asks.
    pub actor: String,
}

impl ResumeJob {
    /// Asks its agent.
    ///
    /// # Errors
    /// When it is not stuck.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let job = jobs::get(tx, self.id)?;
        if job.state != JobState::RollbackFailed {
            return Err(AppError::conflict(
                "not_stuck",
                format!("job {} is {}, not stuck", job.id, job.state),
            )
            .advice("only a job that is rollback_failed can be resumed"));
        }
        jobs::request_resume(tx, &job, tx.now().plus_secs(RESUME_LEASE_SECS))?;
        wake(tx, &job)?;
        record(tx, &self.actor, "job.resume", &job, "")
    }
}

/// Somebody wants a job forgotten.
#[derive(Debug)]
pub struct DeleteJob {
    /// Which.
    pub id: JobId,
    /// Who asks.
    pub actor: String,
}

impl DeleteJob {
    /// Deletes it with its events and reports.
    ///
    /// # Errors
    /// When it is not at rest, or stuck.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let job = jobs::get(tx, self.id)?;
        if !job.state.can_delete() {
            return Err(AppError::conflict(
                "cannot_delete",
                format!("job {} is {}", job.id, job.state),
            )
            .advice("cancel or resume it first; only a job at rest can be deleted"));
        }
        jobs::delete(tx, &job)?;
        record(tx, &self.actor, "job.delete", &job, "")
    }
}
