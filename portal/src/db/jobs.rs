//! The job table. Every statement that changes a state names the old one.

use freehold_protocol::{
    failure::Failure,
    ids::{AgentId, HostId, JobId, Sha256Digest, TenantId},
    job::{JobKind, Work},
    report::JobResult,
    time::Timestamp,
    wire::RunningJob,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec, expect_one};
use crate::{domain::job::JobState, error::AppError};

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Identifier.
    pub id: JobId,
    /// The host that it is for.
    pub host_id: HostId,
    /// The tenant that it is about.
    pub tenant_id: Option<TenantId>,
    /// Kind.
    pub kind: JobKind,
    /// What to do.
    pub work: Work,
    /// State.
    pub state: JobState,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Last attempt that is made by itself.
    pub max_attempts: u32,
    /// Not to be given out before.
    pub not_before: Timestamp,
    /// Not to be started after.
    pub expires_at: Timestamp,
    /// How long each attempt may wait, in seconds.
    pub expiry_secs: i64,
    /// Longest run time.
    pub timeout_secs: u32,
    /// Who asked for it.
    pub actor: String,
    /// The agent that has it.
    pub agent_id: Option<AgentId>,
    /// Epoch and sequence number in that agent's chain.
    pub position: Option<(u64, u64)>,
    /// Digest of its payload.
    pub digest: Option<Sha256Digest>,
    /// Until when it is leased.
    pub lease_until: Option<Timestamp>,
    /// Since when its agent has been silent for longer than the lease.
    pub lease_lost_at: Option<Timestamp>,
    /// The step that runs.
    pub step: String,
    /// Whether it is undoing.
    pub undoing: bool,
    /// When it last moved.
    pub progress_at: Option<Timestamp>,
    /// Since when it shall be cancelled.
    pub cancel_requested_at: Option<Timestamp>,
    /// Why.
    pub cancel_reason: Option<String>,
    /// Since when an admin wants its undo tried again.
    pub resume_requested_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What it found or made; a sealed password is taken out.
    pub result: Option<JobResult>,
    /// Rises with every change (`ETag`).
    pub generation: u64,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the agent began.
    pub started_at: Option<Timestamp>,
    /// When it came to rest.
    pub ended_at: Option<Timestamp>,
}

impl JobRow {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let epoch: Option<u64> = row.get("epoch")?;
        let seq: Option<u64> = row.get("seq")?;
        Ok(Self {
            id: codec::text(row, "id")?,
            host_id: codec::text(row, "host_id")?,
            tenant_id: codec::text_opt(row, "tenant_id")?,
            kind: codec::text(row, "kind")?,
            work: codec::json(row, "work")?,
            state: row.get("state")?,
            attempt: row.get("attempt")?,
            max_attempts: row.get("max_attempts")?,
            not_before: codec::time(row, "not_before")?,
            expires_at: codec::time(row, "expires_at")?,
            expiry_secs: row.get("expiry_secs")?,
            timeout_secs: row.get("timeout_secs")?,
            actor: row.get("actor")?,
            agent_id: codec::text_opt(row, "agent_id")?,
            position: epoch.zip(seq),
            digest: codec::text_opt(row, "digest")?,
            lease_until: codec::time_opt(row, "lease_until")?,
            lease_lost_at: codec::time_opt(row, "lease_lost_at")?,
            step: row.get("step")?,
            undoing: row.get("undoing")?,
            progress_at: codec::time_opt(row, "progress_at")?,
            cancel_requested_at: codec::time_opt(row, "cancel_requested_at")?,
            cancel_reason: row.get("cancel_reason")?,
            resume_requested_at: codec::time_opt(row, "resume_requested_at")?,
            failure: codec::json_opt(row, "failure")?,
            result: codec::json_opt(row, "result")?,
            generation: row.get("generation")?,
            created_at: codec::time(row, "created_at")?,
            updated_at: codec::time(row, "updated_at")?,
            started_at: codec::time_opt(row, "started_at")?,
            ended_at: codec::time_opt(row, "ended_at")?,
        })
    }
}

/// A job to add.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// Identifier.
    pub id: JobId,
    /// Host.
    pub host_id: HostId,
    /// Work.
    pub work: &'a Work,
    /// See [`JobRow::max_attempts`].
    pub max_attempts: u32,
    /// See [`JobRow::expiry_secs`].
    pub expiry_secs: i64,
    /// See [`JobRow::timeout_secs`].
    pub timeout_secs: u32,
    /// See [`JobRow::actor`].
    pub actor: &'a str,
}

/// Adds a queued job.
///
/// # Errors
/// When the database fails.
pub fn insert(tx: &Tx<'_>, job: &NewJob<'_>) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO jobs (id, host_id, tenant_id, kind, work, state, attempt, max_attempts, not_before, expires_at,
                               expiry_secs, timeout_secs, actor, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'queued', 1, ?6, ?7, ?8, ?9, ?10, ?11, ?7, ?7)",
        )?
        .execute(params![
            job.id.to_string(),
            job.host_id.to_string(),
            job.work.tenant().map(|tenant| tenant.to_string()),
            job.work.kind().as_str(),
            codec::to_json(job.work)?,
            job.max_attempts,
            tx.now().as_millis(),
            tx.now().plus_secs(job.expiry_secs).as_millis(),
            job.expiry_secs,
            job.timeout_secs,
            job.actor,
        ])?;
    Ok(())
}

/// The job with this identifier.
///
/// # Errors
/// [`crate::error::Kind::NotFound`].
pub fn get(read: &Read<'_>, id: JobId) -> Result<JobRow, AppError> {
    read.sql()
        .prepare_cached("SELECT * FROM jobs WHERE id = ?1")?
        .query_row([id.to_string()], JobRow::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("job", id))
}

/// What a list of jobs is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// In this state.
    pub state: Option<JobState>,
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// Older than this job.
    pub before: Option<JobId>,
}

/// Jobs, newest first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn page(read: &Read<'_>, filter: &JobFilter, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs
              WHERE (?1 IS NULL OR host_id = ?1) AND (?2 IS NULL OR tenant_id = ?2) AND (?3 IS NULL OR state = ?3)
                AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR id < ?5)
              ORDER BY id DESC LIMIT ?6",
        )?
        .query_map(
            params![
                filter.host.map(|id| id.to_string()),
                filter.tenant.map(|id| id.to_string()),
                filter.state,
                filter.kind.map(JobKind::as_str),
                filter.before.map(|id| id.to_string()),
                limit,
            ],
            JobRow::from_row,
        )?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// How many jobs are in each state.
///
/// # Errors
/// When the database fails.
pub fn count_by_state(read: &Read<'_>) -> Result<Vec<(JobState, u64)>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// When the oldest job that waits for its host was queued.
///
/// # Errors
/// When the database fails.
pub fn oldest_queued(read: &Read<'_>) -> Result<Option<Timestamp>, AppError> {
    let oldest: Option<i64> = read
        .sql()
        .prepare_cached("SELECT min(created_at) FROM jobs WHERE state = 'queued'")?
        .query_row([], |row| row.get(0))?;
    Ok(oldest.map(Timestamp::from_millis))
}

/// The tenant's jobs that are not at rest, or are stuck; oldest first.
///
/// # Errors
/// When the database fails.
pub fn open_of_tenant(read: &Read<'_>, tenant: TenantId) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs WHERE tenant_id = ?1 AND state IN ('queued', 'leased', 'running', 'rollback_failed')
              ORDER BY id",
        )?
        .query_map([tenant.to_string()], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The jobs that can be given out now: of each tenant only its oldest open one, and only if that one
/// waits and may start.
///
/// # Errors
/// When the database fails.
pub fn ready(read: &Read<'_>, host: HostId, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs AS job
              WHERE host_id = ?1 AND state = 'queued' AND not_before <= ?2 AND expires_at > ?2
                AND NOT EXISTS (SELECT 1 FROM jobs AS other
                     WHERE other.tenant_id = job.tenant_id AND other.id <> job.id
                       AND (other.state IN ('leased', 'running', 'rollback_failed')
                            OR (other.state = 'queued' AND other.id < job.id)))
              ORDER BY id LIMIT ?3",
        )?
        .query_map(params![host.to_string(), read.now().as_millis(), limit], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The jobs that an agent has in hand (leased or running).
///
/// # Errors
/// When the database fails.
pub fn out_to(read: &Read<'_>, agent: AgentId) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs WHERE agent_id = ?1 AND state IN ('leased', 'running') ORDER BY id",
        )?
        .query_map([agent.to_string()], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The jobs that an agent has in hand or has left stuck.
///
/// # Errors
/// When the database fails.
pub fn held_by(read: &Read<'_>, agent: AgentId) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs WHERE agent_id = ?1 AND state IN ('leased', 'running', 'rollback_failed') ORDER BY id",
        )?
        .query_map([agent.to_string()], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Whether a queued job of the host waits for its time; says the earliest.
///
/// # Errors
/// When the database fails.
pub fn next_not_before(read: &Read<'_>, host: HostId) -> Result<Option<Timestamp>, AppError> {
    let earliest: Option<i64> = read
        .sql()
        .prepare_cached(
            "SELECT min(not_before) FROM jobs WHERE host_id = ?1 AND state = 'queued' AND not_before > ?2",
        )?
        .query_row(params![host.to_string(), read.now().as_millis()], |row| row.get(0))?;
    Ok(earliest.map(Timestamp::from_millis))
}

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
                    lease_lost_at = NULL, step = '', undoing = 0, progress_at = ?8, updated_at = ?8,
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
                    started_at = coalesce(started_at, ?8)
              WHERE id = ?1 AND agent_id = ?2 AND attempt = ?3 AND state IN ('leased', 'running')",
        )?
        .execute(params![
            running.job_id.to_string(),
            agent.to_string(),
            running.attempt,
            until.as_millis(),
            running.step,
            running.undoing,
            // An agent's clock may be ahead; progress in the future would hide a standstill.
            running.progress_at.min(tx.now()).as_millis(),
            tx.now().as_millis(),
        ])?;
    Ok(changed == 1)
}

/// Renews the leases of jobs that the agent has been given and has not accepted yet, or has ended
/// and not reported yet: it is there, so they are in hand.
///
/// # Errors
/// When the database fails.
pub fn renew_silent(tx: &Tx<'_>, agent: AgentId, until: Timestamp) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "UPDATE jobs SET lease_until = ?2, lease_lost_at = NULL
              WHERE agent_id = ?1 AND state IN ('leased', 'running')",
        )?
        .execute(params![agent.to_string(), until.as_millis()])?;
    Ok(())
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

/// Queues a job for its next attempt: by itself after a failure, or because an admin wants it.
/// `more` attempts are allowed from then on at least.
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
            "UPDATE jobs SET state = 'queued', attempt = attempt + 1, max_attempts = ?4, not_before = ?5, expires_at = ?6,
                    failure = ?7, result = NULL, agent_id = NULL, epoch = NULL, seq = NULL, digest = NULL,
                    lease_until = NULL, lease_lost_at = NULL, step = '', undoing = 0, progress_at = NULL,
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
        .prepare_cached(
            "SELECT * FROM jobs WHERE state = 'queued' AND expires_at <= ?1 ORDER BY id LIMIT ?2",
        )?
        .query_map(params![read.now().as_millis(), limit], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Running jobs that have not moved since `since` and are not being cancelled yet.
///
/// # Errors
/// When the database fails.
pub fn stale(read: &Read<'_>, since: Timestamp, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM jobs WHERE state IN ('leased', 'running') AND progress_at < ?1 AND cancel_requested_at IS NULL
              ORDER BY id LIMIT ?2",
        )?
        .query_map(params![since.as_millis(), limit], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
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
