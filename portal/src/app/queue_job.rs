//! Queuing work for a host.

use freehold_protocol::{
    ids::{HostId, JobId},
    job::Work,
    written::WrittenWork,
};
use serde_json::json;
use uuid::Uuid;

use super::app_env;
use crate::{
    db::{
        Tx,
        audit::{self, Entry},
        hosts::{self, HostRow},
        jobs,
    },
    error::AppError,
};

/// What the configuration says of every job that is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRules {
    /// Attempts that a job gets by itself when a later one may help.
    pub max_attempts: u32,
    /// How long each attempt may wait for the host, in seconds.
    pub expiry_secs: i64,
    /// Whether the portal is told its own address, for apps on the hosts.
    pub has_public_url: bool,
    /// Whether a tenant's first deployment needs an approved provision request.
    pub approval_required: bool,
}

/// How long a job may run, in seconds.
#[must_use]
pub fn timeout_secs(work: &Work) -> u32 {
    match work {
        // Pulling images over a slow line is most of it. What the product's own commands may take
        // comes on top.
        Work::DeployTenant(deploy) => {
            let hooks = deploy.blueprint.freehold.hooks.iter();
            hooks.fold(3600, |sum: u32, (_, hook)| sum.saturating_add(hook.timeout_seconds))
        }
        Work::RemoveTenant(_) => 900,
        Work::CheckTenant(_) | Work::ProbeHost(_) => 300,
    }
}

/// Somebody wants work done on a host.
#[derive(Debug)]
pub struct QueueJob {
    /// The host.
    pub host: HostId,
    /// What to do.
    pub work: WrittenWork,
    /// Who asks.
    pub actor: String,
    /// See [`JobRules`].
    pub rules: JobRules,
}

impl QueueJob {
    /// Queues it and wakes the host's agent. A host that has no agent yet gets it once it enrolls.
    ///
    /// # Errors
    /// When there is no such host, or it was given up: what is meant for one machine must not reach the
    /// next one under its name.
    pub fn apply(self, tx: &Tx<'_>) -> Result<JobId, AppError> {
        app_env::admit_address(&self.work, self.rules.has_public_url)?;
        let host = hosts::get(tx, self.host)?;
        refuse_revoked(&host)?;
        let id = JobId::from_uuid(Uuid::now_v7());
        let kind = self.work.kind();
        jobs::insert(
            tx,
            &jobs::NewJob {
                id,
                host_id: host.id,
                work: &self.work,
                actor: &self.actor,
                max_attempts: self.rules.max_attempts,
                expiry_secs: self.rules.expiry_secs,
                timeout_secs: timeout_secs(&self.work),
            },
        )?;
        audit::append(
            tx,
            &Entry {
                actor: &self.actor,
                action: "job.queue",
                object_kind: "job",
                object_id: &id.to_string(),
                detail: json!({ "kind": kind.as_str(), "host": host.name, "tenant": self.work.slug() }),
            },
        )?;
        if let Some(agent) = host.agent_id {
            tx.wake(agent);
        }
        Ok(id)
    }
}

/// Refuses a host that was given up.
///
/// # Errors
/// `host_revoked`.
pub(super) fn refuse_revoked(host: &HostRow) -> Result<(), AppError> {
    if host.revoked_at.is_none() {
        return Ok(());
    }
    Err(AppError::conflict("host_revoked", format!("the host {} was revoked", host.name)).advice(
        format!(
            "enroll a machine anew first: `freehold host token {}`, then `freehold-agent enroll` there",
            host.name
        ),
    ))
}
