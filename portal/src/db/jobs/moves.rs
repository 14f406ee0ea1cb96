//! Changes of a job's state, and what is due for one.

use freehold_protocol::{
    failure::Failure,
    ids::{AgentId, Sha256Digest},
    report::JobResult,
    time::Timestamp,
    wire::RunningJob,
};
use rusqlite::params;

use super::{
    super::{
        Read, Tx, codec,
        events::{MAX_STEP_BYTES, clipped},
        expect_one,
    },
    JobRow,
};
use crate::{
    domain::job::{JobState, silent_secs},
    error::AppError,
};

/// Where a job goes when it is given out.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// To whom.
    pub agent: AgentId,
    /// Position in its chain.
    pub position: (u64, u64),
    /// Digest of the payload.
    pub digest: Sha256Digest,
    /// Until when.
    pub until: Timestamp,
}

/// Queued → leased.
///
/// # Errors
/// `transition_refused`.
pub fn lease(tx: &Tx<'_>, job: &JobRow, lease: &Lease) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE jobs SET state = 'leased', agent_id = ?3, epoch = ?4, seq = ?5, digest = ?6, lease_until = ?7,
                    lease_lost_at = NULL, lost_at = NULL, report_asked_at = NULL, step = '', undoing = 0, progress_at = ?8, updated_at = ?8,
                    started_at = NULL, ended_at = NULL, failure = NULL, result = NULL, generation = generation + 1
              WHERE id = ?1 AND state = 'queued' AND attempt = ?2",
        )?
        .execute(params![
            job.id.to_string(),
            job.attempt,
            lease.agent.to_string(),
            lease.position.0,
            lease.position.1,
            lease.digest.to_string(),
            lease.until.as_millis(),
            tx.now().as_millis(),
        ])?;
    expect_one(changed, "job")
}

/// Renews the lease of a job that its agent works on, and makes it running.
///
/// # Errors
/// When the database fails. A job that rests already is left alone.
pub fn renew(
    tx: &Tx<'_>,
    agent: AgentId,
    running: &RunningJob,
    until: Timestamp,
) -> Result<bool, AppError> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE jobs SET state = 'running', lease_until = ?4, lease_lost_at = NULL, step = ?5, undoing = ?6,
                    progress_at = max(coalesce(progress_at, 0), ?7), updated_at = ?8,
                    started_at = coalesce(started_at, ?8), report_asked_at = NULL
              WHERE id = ?1 AND agent_id = ?2 AND attempt = ?3 AND state IN ('leased', 'running')",
        )?
        .execute(params![
            running.job_id.to_string(),
            agent.to_string(),
            running.attempt,
            until.as_millis(),
            clipped(&running.step, MAX_STEP_BYTES),
            running.undoing,
            // An agent's clock may be ahead; progress in the future would hide a standstill.
            running.progress_at.min(tx.now()).as_millis(),
            tx.now().as_millis(),
        ])?;
    Ok(changed == 1)
}

/// A statement of every poll, like those in the module above.
pub(in crate::db) const RENEW_SILENT: &str =
    "UPDATE jobs SET lease_until = ?2, lease_lost_at = NULL
      WHERE host_id = (SELECT host_id FROM agents WHERE id = ?1)
        AND agent_id = ?1 AND state IN ('leased', 'running')";

/// Renews the leases of jobs that the agent has been given and has not accepted yet, or has ended
/// and not reported yet: it is there, so they are in hand.
///
/// # Errors
/// When the database fails.
pub fn renew_silent(tx: &Tx<'_>, agent: AgentId, until: Timestamp) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(RENEW_SILENT)?
        .execute(params![agent.to_string(), until.as_millis()])?;
    Ok(())
}

/// Notes that the report of a job in an agent's hands is asked for again.
///
/// # Errors
/// `transition_refused`.
pub fn ask_for_report(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE jobs SET report_asked_at = ?3 WHERE id = ?1 AND attempt = ?2 AND state IN ('leased', 'running')",
        params![job.id.to_string(), job.attempt, tx.now().as_millis()],
    )?;
    expect_one(changed, "job")
}

/// Leased → queued for jobs that the agent never accepted when its chain starts anew; says which.
///
/// # Errors
/// When the database fails.
pub fn requeue_unaccepted(
    tx: &Tx<'_>,
    agent: AgentId,
    old_epoch: u64,
    accepted_seq: u64,
) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "UPDATE jobs SET state = 'queued', agent_id = NULL, epoch = NULL, seq = NULL, digest = NULL, lease_until = NULL,
                lease_lost_at = NULL, updated_at = ?4, generation = generation + 1
          WHERE agent_id = ?1 AND state = 'leased' AND epoch = ?2 AND seq > ?3",
        params![agent.to_string(), old_epoch, accepted_seq, tx.now().as_millis()],
    )?)
}

/// How a job comes to rest.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'a> {
    /// The state that it rests in.
    pub state: JobState,
    /// Why it failed.
    pub failure: Option<&'a Failure>,
    /// What it found or made.
    pub result: Option<&'a JobResult>,
    /// When the agent began, if it did.
    pub started_at: Option<Timestamp>,
}

/// Brings a job to rest.
///
/// # Errors
/// `transition_refused` when it is no longer in the state and attempt that were read.
pub fn rest(tx: &Tx<'_>, job: &JobRow, rest: &Rest<'_>) -> Result<(), AppError> {
    debug_assert!(job.state.can_become(rest.state), "{} -> {}", job.state, rest.state);
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE jobs SET state = ?4, failure = ?5, result = ?6, started_at = coalesce(?7, started_at), ended_at = ?8,
                    updated_at = ?8, lease_until = NULL, lease_lost_at = NULL, resume_requested_at = NULL,
                    undoing = 0, generation = generation + 1
              WHERE id = ?1 AND state = ?2 AND attempt = ?3",
        )?
        .execute(params![
            job.id.to_string(),
            job.state,
            job.attempt,
            rest.state,
            rest.failure.map(codec::to_json).transpose()?,
            rest.result.map(codec::to_json).transpose()?,
            rest.started_at.map(Timestamp::as_millis),
            tx.now().as_millis(),
        ])?;
    expect_one(changed, "job")
}

/// Notes of a job that has just come to rest that only its report is missing: it may still come.
///
/// # Errors
/// `transition_refused` when it does not rest as failed.
pub fn note_lost(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE jobs SET lost_at = ?3 WHERE id = ?1 AND state = 'failed' AND attempt = ?2",
        params![job.id.to_string(), job.attempt, tx.now().as_millis()],
    )?;
    expect_one(changed, "job")
}

/// Failed as lost → what its late report says.
///
/// # Errors
/// `transition_refused` when it is not lost any more.
pub fn rest_late(tx: &Tx<'_>, job: &JobRow, rest: &Rest<'_>) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE jobs SET state = ?3, failure = ?4, result = ?5, started_at = coalesce(?6, started_at), ended_at = ?7,
                updated_at = ?7, lost_at = NULL, generation = generation + 1
          WHERE id = ?1 AND state = 'failed' AND attempt = ?2 AND lost_at IS NOT NULL",
        params![
            job.id.to_string(),
            job.attempt,
            rest.state,
            rest.failure.map(codec::to_json).transpose()?,
            rest.result.map(codec::to_json).transpose()?,
            rest.started_at.map(Timestamp::as_millis),
            tx.now().as_millis(),
        ],
    )?;
    expect_one(changed, "job")
}

/// Queues a job for its next attempt: by itself after a failure, or because an admin wants it.
///
/// # Errors
/// `transition_refused`.
pub fn next_attempt(
    tx: &Tx<'_>,
    job: &JobRow,
    not_before: Timestamp,
    max_attempts: u32,
    failure: Option<&Failure>,
) -> Result<(), AppError> {
    debug_assert!(job.state.can_become(JobState::Queued), "{} -> queued", job.state);
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE jobs SET state = 'queued', attempt = attempt + 1, max_attempts = ?4, not_before = ?5, expires_at = ?6, expiry_secs = ?9,
                    failure = ?7, result = NULL, agent_id = NULL, epoch = NULL, seq = NULL, digest = NULL,
                    lease_until = NULL, lease_lost_at = NULL, lost_at = NULL, step = '', undoing = 0, progress_at = NULL,
                    cancel_requested_at = NULL, cancel_reason = NULL, resume_requested_at = NULL,
                    started_at = NULL, ended_at = NULL, updated_at = ?8, generation = generation + 1
              WHERE id = ?1 AND state = ?2 AND attempt = ?3",
        )?
        .execute(params![
            job.id.to_string(),
            job.state,
            job.attempt,
            max_attempts,
            not_before.as_millis(),
            not_before.plus_secs(job.expiry_secs).as_millis(),
            failure.map(codec::to_json).transpose()?,
            tx.now().as_millis(),
            job.expiry_secs,
        ])?;
    expect_one(changed, "job")
}

/// Notes that a job in the agent's hands shall be cancelled. Repeating it keeps the first reason.
///
/// # Errors
/// `transition_refused` when it is not in the agent's hands any more.
pub fn request_cancel(tx: &Tx<'_>, job: &JobRow, reason: &str) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, ?2), cancel_reason = coalesce(cancel_reason, ?3),
                updated_at = ?2, generation = generation + 1
          WHERE id = ?1 AND state IN ('leased', 'running')",
        params![job.id.to_string(), tx.now().as_millis(), reason],
    )?;
    expect_one(changed, "job")
}

/// Stuck → running: the agent shall try its undo again.
///
/// # Errors
/// `transition_refused`.
pub fn request_resume(tx: &Tx<'_>, job: &JobRow, lease_until: Timestamp) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE jobs SET state = 'running', resume_requested_at = ?2, updated_at = ?2, progress_at = ?2, lease_until = ?3,
                ended_at = NULL, generation = generation + 1
          WHERE id = ?1 AND state = 'rollback_failed'",
        params![job.id.to_string(), tx.now().as_millis(), lease_until.as_millis()],
    )?;
    expect_one(changed, "job")
}

/// Notes that a job's agent has been silent for longer than its lease.
///
/// # Errors
/// When the database fails.
pub fn note_lost_leases(tx: &Tx<'_>) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "UPDATE jobs SET lease_lost_at = ?1, updated_at = ?1
          WHERE state IN ('leased', 'running') AND lease_until < ?1 AND lease_lost_at IS NULL",
        [tx.now().as_millis()],
    )?)
}

/// Whether [`note_lost_leases`] has anything to note.
///
/// # Errors
/// When the database fails.
pub fn has_lost_leases(read: &Read<'_>) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT 1 FROM jobs WHERE state IN ('leased', 'running') AND lease_until < ?1 AND lease_lost_at IS NULL",
        )?
        .exists([read.now().as_millis()])?)
}

/// Queued jobs whose time is over.
///
/// # Errors
/// When the database fails.
pub fn expired(read: &Read<'_>, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(select_jobs!(
            "WHERE state = 'queued' AND expires_at <= ?1 ORDER BY id LIMIT ?2"
        ))?
        .query_map(params![read.now().as_millis(), limit], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Running jobs that have not moved for `stale_secs`, and for what their step may be silent beyond
/// that, and are not being cancelled yet.
///
/// # Errors
/// When the database fails.
pub fn stale(read: &Read<'_>, stale_secs: i64, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let now = read.now();
    let mut statement = read.sql().prepare_cached(select_jobs!(
        "WHERE state IN ('leased', 'running') AND progress_at < ?1 AND cancel_requested_at IS NULL
          ORDER BY id"
    ))?;
    let since = now.plus_secs(-stale_secs);
    let mut rows = statement.query_map([since.as_millis()], JobRow::from_row)?;
    let mut found = Vec::new();
    // Those that may be silent do not count towards the limit: they would hide what comes after.
    while found.len() < limit
        && let Some(row) = rows.next().transpose()?
    {
        let silent = if row.undoing { 0 } else { silent_secs(&row.work, &row.step) };
        let until = row.progress_at.map(|at| at.plus_secs(stale_secs + i64::from(silent)));
        if until.is_some_and(|until| until < now) {
            found.push(row);
        }
    }
    Ok(found)
}

/// Deletes a job that rests, with its events and reports. Its envelopes stay: they are the chain.
///
/// # Errors
/// `transition_refused` when it is no longer in the state that was read.
pub fn delete(tx: &Tx<'_>, job: &JobRow) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "DELETE FROM jobs WHERE id = ?1 AND state = ?2",
        params![job.id.to_string(), job.state],
    )?;
    expect_one(changed, "job")
}
