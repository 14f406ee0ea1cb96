//! Gives queued jobs to an agent that polls: signs them into its chain.

use freehold_protocol::{
    app_env::SealedEnv,
    approval::Approval,
    dsse::{Envelope, EnvelopeError},
    failure::{Failure, FailureClass},
    ids::Sha256Digest,
    job::{AuditHead, Job, Work},
    wire::Head,
};

use super::{
    app_env, poll::Poll, request_retry, requests::with_another_license, settle::settle,
    tenant_license, tenant_work,
};
use crate::{
    db::{
        Read, Tx,
        agents::{self, AgentRow},
        audit,
        chain::{self, Link},
        deployments,
        jobs::{self, JobRow, Lease},
        requests, tenants,
    },
    domain::{
        job::JobState,
        tenant::{self, TenantStatus},
    },
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// Signs up to `slots` ready jobs of the agent's host into its chain. Returns the new links, in
/// order, and the chain's new head.
pub(super) fn dispatch(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    agent: &AgentRow,
    head: Head,
    slots: usize,
    poll: &Poll,
) -> Result<(Vec<Link>, Head), AppError> {
    let mut links = Vec::new();
    let mut head = head;
    if slots == 0 {
        return Ok((links, head));
    }
    let ready = jobs::ready(tx, agent.host_id, slots)?;
    if ready.is_empty() {
        return Ok((links, head));
    }
    let agent_key = agent.report_key.key()?.fingerprint();
    let audit = audit::head(tx)?;
    for job in ready {
        let (seq, prev) = (head.seq + 1, head.hash);
        let approval = requests::approval(tx, job.id)?;
        // The agent would refuse it, and everything after it.
        if approval.is_some_and(|approval| !approval.is_of(&job.work)) {
            settle(tx, &job, JobState::Failed, &other_work(), "system")?;
            continue;
        }
        if let Some(failure) = not_now(tx, &job)? {
            settle(tx, &job, JobState::Failed, &failure, "system")?;
            continue;
        }
        let delivery = match app_env::of_job(tx, keys, poll.url_for_apps.as_deref(), agent, &job)? {
            Ok(delivery) => delivery,
            Err(failure) => {
                settle(tx, &job, JobState::Failed, &failure, "system")?;
                continue;
            }
        };
        let beside = (approval, delivery.as_ref().map(|delivery| delivery.sealed.clone()));
        let envelope = match sign(tx, keys, (agent, agent_key), (&job, beside), (head, audit)) {
            Ok(envelope) => envelope,
            Err(EnvelopeError::TooLarge { limit_bytes }) => {
                let failure = Failure::new(
                    FailureClass::Request,
                    format!("the job with its blueprint is larger than {limit_bytes} bytes"),
                    "make the blueprint or the settings smaller and deploy again",
                );
                settle(tx, &job, JobState::Failed, &failure, "system")?;
                continue;
            }
            Err(error) => return Err(AppError::bug("a job was not signed").because(error)),
        };
        if let Some(delivery) = delivery {
            delivery.note(tx, keys.master(), &job)?;
        }
        let digest = envelope
            .payload_digest()
            .map_err(|error| AppError::bug("a signed job has no digest").because(error))?;
        debug_assert_ne!(digest, prev);
        let link =
            Link { epoch: head.epoch, seq, digest, job_id: job.id, attempt: job.attempt, envelope };
        chain::append(tx, agent.id, &link)?;
        let until = tx.now().plus_secs(poll.pace.lease_secs);
        let lease = Lease { agent: agent.id, position: (head.epoch, seq), digest, until };
        jobs::lease(tx, &job, &lease)?;
        let next = Head { epoch: head.epoch, seq, hash: digest };
        agents::move_head(tx, agent.id, head, next)?;
        head = next;
        follow_dispatch(tx, &job)?;
        tracing::info!(job = %job.id, kind = %job.kind, attempt = job.attempt, agent = %agent.id, seq, "gave a job to its agent");
        links.push(link);
    }
    Ok((links, head))
}

/// Why a deployment may not be handed out although it was queued: its tenant was removed or is not what was
/// approved, its license is worth nothing any more, or it has outgrown its plan while the job waited.
fn not_now(read: &Read<'_>, job: &JobRow) -> Result<Option<Failure>, AppError> {
    let Work::DeployTenant(deploy) = &*job.work else { return Ok(None) };
    let Some(tenant) = tenants::by_id(read, deploy.tenant)? else { return Ok(None) };
    let refused = if tenant.status == TenantStatus::Removed {
        Err(tenant_work::removed(&tenant))
    } else {
        match requests::by_job(read, job.id)? {
            Some(request) if !request_retry::is_as_approved(&tenant, &request) => {
                Err(request_retry::approved_as_is(&tenant, &request))
            }
            Some(_) => tenant_license::worth_something(read, &tenant).map_err(with_another_license),
            None => tenant_license::worth_something(read, &tenant),
        }
    };
    match refused {
        Ok(plan) => {
            Ok(plan
                .and_then(|plan| tenant_license::outgrown(&tenant, &plan, deploy.release.number)))
        }
        Err(error) if error.kind == Kind::Internal => Err(error),
        Err(error) => Ok(Some(Failure::new(FailureClass::Request, error.message, error.advice))),
    }
}

fn other_work() -> Failure {
    Failure::new(
        FailureClass::Refused,
        "the job's work is not what was approved",
        "the database was changed by hand: forget the tenant and ask for it anew with `freehold request create`",
    )
}

fn sign(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    (agent, agent_key): (&AgentRow, Sha256Digest),
    (job, (approval, app_env)): (&JobRow, (Option<Approval>, Option<SealedEnv>)),
    (head, audit): (Head, AuditHead),
) -> Result<Envelope, EnvelopeError> {
    let payload = Job {
        portal: keys.portal(),
        agent_id: agent.id,
        agent_key,
        epoch: head.epoch,
        seq: head.seq + 1,
        prev: head.hash,
        job_id: job.id,
        attempt: job.attempt,
        iat: tx.now(),
        nbf: job.not_before.min(tx.now()),
        exp: job.expires_at,
        timeout_secs: job.timeout_secs,
        actor: job.actor.clone(),
        audit,
        approval,
        work: job.work.clone(),
        app_env,
    };
    Envelope::sign(&payload, &[keys.job()])
}

fn follow_dispatch(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    if let Some(id) = job.tenant_id
        && let Some(standing) = deployments::standing(tx, id)?
    {
        let deployed = standing.release_deployed.is_some();
        let next = tenant::after_dispatch(job.kind, standing.status, deployed);
        deployments::set_status(tx, id, standing.status, next)?;
    }
    Ok(())
}
