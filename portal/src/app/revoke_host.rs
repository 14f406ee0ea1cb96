//! An admin gives up a host that never returns: a machine that burnt, was stolen or was taken back by its provider.

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::HostName,
};
use serde_json::json;

use super::{
    hosts_admin::{find, record},
    settle::settle,
};
use crate::{
    api::hosts as wire,
    db::{
        Tx, agents, deployments, enrollments,
        hosts::HostRow,
        jobs::{self, JobRow},
    },
    domain::job::JobState,
    error::AppError,
};

/// Somebody wants a host's agent shut out for good.
#[derive(Debug)]
pub struct RevokeHost {
    /// Which.
    pub name: HostName,
    /// As it was written.
    pub request: wire::RevokeHost,
    /// Who asks.
    pub actor: String,
}

impl RevokeHost {
    /// Refuses the agent's keys from the commit on, its parked poll included. What the agent had in hand
    /// is settled as lost; what was queued is cancelled, since work meant for the lost machine must not
    /// reach the next one that enrolls under its name; its tenants are shown as unknown. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// When the name is not repeated, or the host has no agent.
    pub fn apply(self, tx: &Tx<'_>) -> Result<HostRow, AppError> {
        let host = find(tx, &self.name)?;
        if self.request.confirm != host.name.as_str() {
            return Err(AppError::invalid(
                "/confirm",
                format!("repeat the host's name ({}) to shut its agent out for good", host.name),
            ));
        }
        let Some(agent) = host.agent_id else {
            if host.revoked_at.is_some() {
                return Ok(host);
            }
            return Err(AppError::conflict(
                "not_enrolled",
                format!("no agent has enrolled on {}", host.name),
            )
            .advice(format!("there is nothing to revoke; `freehold host remove {}`", host.name)));
        };
        agents::revoke(tx, host.id, agent)?;
        enrollments::take_back(tx, host.id)?;
        let held = jobs::held_by(tx, agent)?;
        for job in &held {
            settle(tx, job, JobState::Failed, &lost(&host, job), &self.actor)?;
        }
        let queued = jobs::queued_for(tx, host.id)?;
        for job in &queued {
            settle(tx, job, JobState::Cancelled, &not_started(&host), &self.actor)?;
        }
        let unknown = deployments::note_unknown(tx, host.id)?;
        record(
            tx,
            &self.actor,
            "host.revoke",
            &host,
            json!({ "agent": agent, "lost": held.len(), "cancelled": queued.len(), "unknownTenants": unknown }),
        )?;
        tx.wake(agent);
        find(tx, &self.name)
    }
}

/// What becomes of a job that the agent had: names what is unknown, and the ways on.
fn lost(host: &HostRow, job: &JobRow) -> Failure {
    let mut known = match job.state {
        JobState::RollbackFailed => "it was stuck: a change could not be undone".to_owned(),
        JobState::Leased => "the agent had not said that it began".to_owned(),
        _ if job.step.is_empty() => "the agent had begun".to_owned(),
        _ if job.undoing => format!("the agent was undoing, last at the step {}", job.step),
        _ => format!("the last known step was {}", job.step),
    };
    if let Some(before) = &job.failure {
        known.push_str(&format!(" ({})", before.what));
    }
    Failure::new(
        FailureClass::Host,
        format!(
            "the host {} was revoked while its agent had the job: whether it was done is not known",
            host.name
        ),
        format!(
            "if the machine still runs, look at it by hand, for its containers run on; then enroll a machine as {} anew (`freehold host token {}`) and queue the job again, or put the tenant on another host",
            host.name, host.name
        ),
    )
    .with_detail(known)
}

fn not_started(host: &HostRow) -> Failure {
    Failure::new(
        FailureClass::Cancelled,
        format!("the host {} was revoked before the job was started", host.name),
        format!(
            "enroll a machine anew (`freehold host token {}`), then `freehold job retry`; or use another host",
            host.name
        ),
    )
}
