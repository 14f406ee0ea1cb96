//! What time alone does: leases are lost, queued jobs expire, standing pipelines are cancelled,
//! secrets of expired tokens are erased.

use freehold_protocol::failure::{Failure, FailureClass};
use serde_json::json;

use super::settle::settle;
use crate::{
    context::Portal,
    db::{
        Read, Tx,
        audit::{self, Entry},
        enrollments, jobs,
    },
    domain::job::{JobState, silent_secs},
    error::AppError,
};

/// Most jobs that are settled in one go.
const BATCH: usize = 100;

/// Does what is due in a running portal.
///
/// # Errors
/// When the database fails.
pub fn run(portal: &Portal) -> Result<(), AppError> {
    let reap = Reap { stale_secs: i64::from(portal.config.stale_job_minutes) * 60 };
    // A look first: most of the time nothing is due, and a write costs a disk sync.
    if portal.db.read(|read| reap.is_due(read))? {
        portal.db.write(move |tx| reap.apply(tx))?;
    }
    Ok(())
}

/// Time has passed.
#[derive(Debug, Clone, Copy)]
pub struct Reap {
    /// After how long without progress a pipeline is cancelled, in seconds.
    pub stale_secs: i64,
}

impl Reap {
    /// Whether there is anything to do.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_due(self, read: &Read<'_>) -> Result<bool, AppError> {
        Ok(jobs::has_lost_leases(read)?
            || !jobs::expired(read, 1)?.is_empty()
            || !jobs::stale(read, self.stale_secs, 1)?.is_empty()
            || enrollments::has_expired(read)?)
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When the database fails.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let lost = jobs::note_lost_leases(tx)?;
        if lost > 0 {
            tracing::warn!(
                jobs = lost,
                "agents with jobs in hand are silent; the jobs go on when they return"
            );
        }
        for job in jobs::expired(tx, BATCH)? {
            let failure = Failure::new(
                FailureClass::Expired,
                format!("no agent took the job within {} seconds", job.expiry_secs),
                "see why the host is offline or busy (`freehold host show`), then `freehold job retry`",
            );
            settle(tx, &job, JobState::Expired, &failure, "system")?;
        }
        for job in jobs::stale(tx, self.stale_secs, BATCH)? {
            let silent = if job.undoing { 0 } else { silent_secs(&job.work, &job.step) };
            let limit = self.stale_secs + i64::from(silent);
            let reason = format!("no progress for {} minutes", limit / 60);
            jobs::request_cancel(tx, &job, &reason)?;
            audit::append(
                tx,
                &Entry {
                    actor: "system",
                    action: "job.cancel",
                    object_kind: "job",
                    object_id: &job.id.to_string(),
                    detail: json!({ "reason": reason, "step": job.step }),
                },
            )?;
            tracing::warn!(job = %job.id, step = job.step, reason, "cancelling a job that stands still");
            if let Some(agent) = job.agent_id {
                tx.wake(agent);
            }
        }
        enrollments::erase_expired(tx)?;
        Ok(())
    }
}
