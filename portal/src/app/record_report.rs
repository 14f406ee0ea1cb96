//! An agent reports how a job ended. One transaction: the report word for word, the job, the tenant,
//! the audit row.

use freehold_protocol::{
    dsse::{Envelope, Verified},
    failure::{Failure, FailureClass},
    ids::{AgentId, HostId, JobId, PortalId, Sha256Digest, TenantId},
    job::{JobKind, Work},
    report::{Deployed, JobResult, Outcome, Report},
    seal::SealContext,
};
use serde_json::json;

use super::{
    app_env, license_status,
    settle::{self, follow},
    tenant_credentials::credentials_place,
    tenant_disk,
};
use crate::{
    db::{
        self, Tx,
        agents::AgentRow,
        audit::{self, Entry},
        chain, deployments, events, hosts,
        hosts::HostRow,
        inventory, job_views,
        jobs::{self, JobRow, Rest},
        orphans, running_work,
    },
    domain::job::{AfterReport, JobState, after_report},
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// An agent sends a report, which its executor's key has signed.
#[derive(Debug)]
pub struct RecordReport {
    agent: AgentId,
    host: HostId,
    opened: Verified<Report>,
    envelope: Envelope,
}

impl RecordReport {
    /// Opens the report of the agent that has signed the request, on the job that the address names.
    ///
    /// # Errors
    /// `report_refused` (422) when its signature or contents are wrong.
    pub fn open(
        agent: &AgentRow,
        job: JobId,
        envelope: Envelope,
        portal: PortalId,
    ) -> Result<Self, AppError> {
        let opened = envelope.open::<Report>(&[agent.report_key.key()?], 1).map_err(|error| {
            refused(format!("the report's envelope was not opened: {error}")).because(error)
        })?;
        let report = opened.get();
        if report.portal != portal || report.agent_id != agent.id || report.job_id != job {
            return Err(refused("the report is for another portal, agent or job".into()));
        }
        Ok(Self { agent: agent.id, host: agent.host_id, opened, envelope })
    }

    /// Takes the report. Repeating it is harmless.
    ///
    /// One that answers no job of this database is kept as an orphan, to be looked at: the executor's
    /// signature proves where it comes from, and a refusal would only make the agent hold it for ever.
    ///
    /// # Errors
    /// When the database fails, or the host was deleted meanwhile.
    pub fn apply(self, tx: &Tx<'_>, keys: &PortalKeys) -> Result<(), AppError> {
        let Self { agent, host, opened, envelope } = self;
        let host = hosts::get(tx, host)?;
        let report = opened.get();
        if !chain::was_given(tx, agent, report.job_id, report.attempt, report.job_digest)? {
            return keep_orphan(tx, &host, report, opened.digest(), &envelope);
        }
        let job = match jobs::get(tx, report.job_id) {
            Ok(job) => job,
            // Deleted meanwhile: there is nothing left to tell.
            Err(error) if error.kind == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_new = events::keep_report(tx, &opened, &envelope)?;
        if !is_new {
            return Ok(());
        }
        let arrival = Arrival::of(tx, &job, report)?;
        match arrival {
            Arrival::InTime => {
                take(tx, keys, &job, &host, report)?;
                // Another job of the same tenant may start now, or this one again in a while.
                if jobs::has_queued(tx, host.id)? {
                    tx.wake(agent);
                }
            }
            Arrival::Late => take_late(tx, keys, &job, &host, report)?,
            Arrival::Overtaken => {
                tracing::warn!(job = %job.id, state = %job.state, outcome = ?report.outcome, "kept a report that came after its job was settled");
                rescue_password(tx, keys, &job, report)?;
            }
        }
        audit::append(
            tx,
            &Entry {
                actor: &format!("agent:{}", host.name),
                action: "job.report",
                object_kind: "job",
                object_id: &job.id.to_string(),
                detail: json!({
                    "kind": job.kind,
                    "attempt": report.attempt,
                    "outcome": report.outcome,
                    "failure": report.failure.as_ref().map(|failure| &failure.what),
                    "report": opened.digest(),
                    "applied": arrival != Arrival::Overtaken,
                }),
            },
        )
    }
}

/// When a report comes, as its job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// The agent has the job in hand.
    InTime,
    /// The job was given up as lost, and nothing has happened since that contradicts the report.
    Late,
    /// The job was settled otherwise, tried again, or a newer one has changed the tenant since.
    Overtaken,
}

impl Arrival {
    fn of(tx: &Tx<'_>, job: &JobRow, report: &Report) -> Result<Self, AppError> {
        if job.attempt != report.attempt || job.agent_id != Some(report.agent_id) {
            return Ok(Self::Overtaken);
        }
        if job.state.is_out() {
            return Ok(Self::InTime);
        }
        let overtaken = match job.tenant_id {
            Some(tenant) => job_views::is_overtaken(tx, job.id, tenant)?,
            None => false,
        };
        let late = job.state == JobState::Failed && job.lost_at.is_some() && !overtaken;
        Ok(if late { Self::Late } else { Self::Overtaken })
    }
}

fn keep_orphan(
    tx: &Tx<'_>,
    host: &HostRow,
    report: &Report,
    digest: Sha256Digest,
    envelope: &Envelope,
) -> Result<(), AppError> {
    if !orphans::keep(tx, host.id, digest, report, envelope)? {
        return Ok(());
    }
    tracing::warn!(job = %report.job_id, attempt = report.attempt, outcome = ?report.outcome, host = %host.name,
        "kept a report on a job that this database does not know as given: was it restored from a backup?");
    audit::append(
        tx,
        &Entry {
            actor: &format!("agent:{}", host.name),
            action: "host.orphan_report",
            object_kind: "host",
            object_id: &host.id.to_string(),
            detail: json!({
                "name": host.name,
                "job": report.job_id,
                "kind": report.kind,
                "attempt": report.attempt,
                "outcome": report.outcome,
                "report": digest,
            }),
        },
    )
}

fn refused(message: String) -> AppError {
    AppError::new(Kind::Invalid, "report_refused", message)
}

/// Applies what a job has brought about, and tells what is kept of it: its result, and why it failed.
fn outcome_of(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    job: &JobRow,
    host: &HostRow,
    report: &Report,
) -> Result<(Option<JobResult>, Option<Failure>), AppError> {
    let mut result = report.result.clone();
    if report.outcome == Outcome::Succeeded {
        apply_result(tx, keys, job, host, report, result.as_mut())?;
    }
    Ok((result, report.failure.clone().or_else(|| unexplained(report))))
}

fn take(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    job: &JobRow,
    host: &HostRow,
    report: &Report,
) -> Result<(), AppError> {
    let (result, failure) = outcome_of(tx, keys, job, host, report)?;
    let next = after_report(
        report.outcome,
        failure.as_ref(),
        job.attempt,
        job.max_attempts,
        job.cancel_requested_at.is_some(),
        tx.now(),
    );
    let state = match next {
        AfterReport::Rest(state) => {
            let rest = Rest {
                state,
                failure: failure.as_ref(),
                result: result.as_ref(),
                started_at: Some(report.started_at),
            };
            jobs::rest(tx, job, &rest)?;
            state
        }
        AfterReport::Retry { not_before } => {
            jobs::next_attempt(tx, job, not_before, job.max_attempts, failure.as_ref())?;
            JobState::Queued
        }
    };
    tracing::info!(job = %job.id, kind = %job.kind, outcome = ?report.outcome, state = %state, host = %host.name, "a job was reported");
    match job.tenant_id {
        Some(tenant) => follow(tx, tenant, job, state),
        None => Ok(()),
    }
}

/// Puts a job right that was given up as lost. It is not tried again by itself: so long after, whoever
/// looks at it decides.
fn take_late(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    job: &JobRow,
    host: &HostRow,
    report: &Report,
) -> Result<(), AppError> {
    let (result, failure) = outcome_of(tx, keys, job, host, report)?;
    let state = JobState::of_outcome(report.outcome);
    let rest = Rest {
        state,
        failure: failure.as_ref(),
        result: result.as_ref(),
        started_at: Some(report.started_at),
    };
    jobs::rest_late(tx, job, &rest)?;
    if let Some(tenant) = job.tenant_id {
        follow(tx, tenant, job, state)?;
    }
    tracing::info!(job = %job.id, outcome = ?report.outcome, "a job that was given up as lost was reported after all");
    settle::record(tx, job, state, "its report came after the job was given up as lost", "system")
}

/// Of a report that changes nothing any more, the one thing that exists nowhere else: the first admin's
/// temporary password, unless there has been one.
fn rescue_password(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    job: &JobRow,
    report: &Report,
) -> Result<(), AppError> {
    let (Some(tenant), Some(JobResult::Deployed(deployed))) = (job.tenant_id, &report.result)
    else {
        return Ok(());
    };
    let never_had = deployments::standing(tx, tenant)?
        .is_some_and(|standing| standing.credentials_at.is_none());
    match &deployed.sealed_password {
        Some(sealed) if never_had => keep_password(tx, keys, report, tenant, sealed),
        _ => Ok(()),
    }
}

/// A failure must never be without a reason; an agent that gives none has a defect.
fn unexplained(report: &Report) -> Option<Failure> {
    (report.outcome != Outcome::Succeeded).then(|| {
        Failure::new(
            FailureClass::Bug,
            "the agent gave no reason",
            "look at the job's events and at the agent's log on the host",
        )
    })
}

fn apply_result(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    job: &JobRow,
    host: &HostRow,
    report: &Report,
    result: Option<&mut JobResult>,
) -> Result<(), AppError> {
    match (job.kind, job.tenant_id, result) {
        (JobKind::DeployTenant, Some(tenant), Some(JobResult::Deployed(deployed))) => {
            let onboarded = deployed.sealed_password.is_some();
            if let Some(sealed) = deployed.sealed_password.take() {
                keep_password(tx, keys, report, tenant, &sealed)?;
            }
            note_deployed(tx, tenant, &job.work, deployed, onboarded)?;
            let actor = format!("agent:{}", host.name);
            let mark = deployed.app_key.take();
            app_env::arrived(tx, keys.master(), (tenant, job, mark), &actor)?;
            license_status::activate(tx, tenant, &actor)
        }
        (JobKind::RemoveTenant, Some(tenant), Some(JobResult::Removed(removed))) => {
            if removed.kept_volumes.is_empty() {
                db::tenant_disk::forget(tx, tenant)?;
            }
            deployments::note_removed(tx, tenant, removed)
        }
        (JobKind::CheckTenant, Some(tenant), Some(JobResult::Checked(health)))
            if health.tenant == tenant =>
        {
            deployments::note_health(tx, host.id, health)?;
            tenant_disk::note(tx, host, std::slice::from_ref(health))
        }
        (JobKind::ProbeHost, _, Some(JobResult::Probed(facts))) => {
            if let Some((mut known, _)) = inventory::of(tx, host.id)? {
                known.facts = (**facts).clone();
                inventory::put(tx, host.id, report.agent_id, &known)?;
            }
            Ok(())
        }
        (_, _, found) => {
            tracing::warn!(job = %job.id, found = found.is_some(), "a report's result does not fit its job");
            Ok(())
        }
    }
}

fn note_deployed(
    tx: &Tx<'_>,
    tenant: TenantId,
    work: &Work,
    deployed: &Deployed,
    onboarded: bool,
) -> Result<(), AppError> {
    match deployments::standing(tx, tenant)? {
        Some(_) => {
            deployments::note_deployed(tx, tenant, deployed, onboarded)?;
            running_work::keep(tx, tenant, work)
        }
        None => Ok(()),
    }
}

/// Opens the password that the agent sealed for the portal and keeps it under the master key. One
/// that does not open is not worth losing the report for.
fn keep_password(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    report: &Report,
    tenant: TenantId,
    sealed: &str,
) -> Result<(), AppError> {
    let context = SealContext::TenantPassword {
        portal: report.portal,
        agent: report.agent_id,
        tenant,
        job: report.job_id,
    };
    match keys.seal().open(&context, sealed) {
        Ok(password) => {
            let row = tenant.to_string();
            let blob = keys.master().seal(&credentials_place(&row, tx.now()), &password)?;
            deployments::keep_credentials(tx, tenant, &blob, tx.now())
        }
        Err(error) => {
            tracing::error!(%tenant, job = %report.job_id, %error, "the tenant's temporary password does not open; rotate it in the tenant's app");
            Ok(())
        }
    }
}
