//! The job table. Every statement that changes a state names the old one.

/// The columns of a job but for its work, in the order in which [`JobHead::from_row`] takes them.
macro_rules! head_columns {
    () => {
        "id, host_id, tenant_id, kind, state, attempt, max_attempts, not_before, expires_at,
         expiry_secs, timeout_secs, actor, agent_id, epoch, seq, digest, lease_until, lease_lost_at, lost_at, step, undoing,
         progress_at, cancel_requested_at, cancel_reason, resume_requested_at, report_asked_at, failure, result, generation, created_at,
         updated_at, started_at, ended_at"
    };
}
/// A statement for whole jobs, as [`JobRow::from_row`] takes them.
macro_rules! select_jobs {
    ($rest:literal) => {
        concat!("SELECT ", head_columns!(), ", work FROM jobs ", $rest)
    };
}

pub(in crate::db) mod moves;

use freehold_protocol::{
    failure::Failure,
    ids::{AgentId, HostId, JobId, Sha256Digest, TenantId},
    job::JobKind,
    report::JobResult,
    time::Timestamp,
    written::WrittenWork,
};
use rusqlite::{OptionalExtension, Row, params};

pub use moves::{
    Lease, Rest, ask_for_report, delete, expired, has_lost_leases, lease, next_attempt, note_lost,
    note_lost_leases, renew, renew_silent, request_cancel, request_resume, requeue_unaccepted,
    rest, rest_late, stale,
};

use super::{Read, Tx, codec};
use crate::{domain::job::JobState, error::AppError};

/// A job with what there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// All but the work.
    pub head: JobHead,
    /// What to do, byte for byte as it was queued.
    pub work: WrittenWork,
}

impl std::ops::Deref for JobRow {
    type Target = JobHead;
    fn deref(&self) -> &JobHead {
        &self.head
    }
}

impl JobRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { head: JobHead::from_row(row)?, work: codec::json(row, "work")? })
    }
}

/// A job without its work, which may be a whole blueprint.
#[derive(Debug, Clone, PartialEq)]
pub struct JobHead {
    /// Identifier.
    pub id: JobId,
    /// The host that it is for.
    pub host_id: HostId,
    /// The tenant that it is about.
    pub tenant_id: Option<TenantId>,
    /// Kind.
    pub kind: JobKind,
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
    /// Set while it rests as failed only because its report never came.
    pub lost_at: Option<Timestamp>,
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
    /// Since when its report has been asked for again.
    pub report_asked_at: Option<Timestamp>,
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

impl JobHead {
    /// Its columns, in the order in which it takes them; they come first in every statement.
    pub(super) const COLUMNS: &str = head_columns!();

    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut cells = codec::Cells::of(row);
        Ok(Self {
            id: cells.text()?,
            host_id: cells.text()?,
            tenant_id: cells.text_opt()?,
            kind: cells.text()?,
            state: cells.get()?,
            attempt: cells.get()?,
            max_attempts: cells.get()?,
            not_before: cells.time()?,
            expires_at: cells.time()?,
            expiry_secs: cells.get()?,
            timeout_secs: cells.get()?,
            actor: cells.get()?,
            agent_id: cells.text_opt()?,
            position: cells.get::<Option<u64>>()?.zip(cells.get()?),
            digest: cells.text_opt()?,
            lease_until: cells.time_opt()?,
            lease_lost_at: cells.time_opt()?,
            lost_at: cells.time_opt()?,
            step: cells.get()?,
            undoing: cells.get()?,
            progress_at: cells.time_opt()?,
            cancel_requested_at: cells.time_opt()?,
            cancel_reason: cells.get()?,
            resume_requested_at: cells.time_opt()?,
            report_asked_at: cells.time_opt()?,
            failure: cells.json_opt()?,
            result: cells.json_opt()?,
            generation: cells.get()?,
            created_at: cells.time()?,
            updated_at: cells.time()?,
            started_at: cells.time_opt()?,
            ended_at: cells.time_opt()?,
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
    pub work: &'a WrittenWork,
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
            job.work.text(),
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
        .prepare_cached(select_jobs!("WHERE id = ?1"))?
        .query_row([id.to_string()], JobRow::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("job", id))
}

/// Whether there is a job with this identifier.
///
/// # Errors
/// When the database fails.
pub fn exists(read: &Read<'_>, id: JobId) -> Result<bool, AppError> {
    Ok(read.sql().prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?.exists([id.to_string()])?)
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

// The statements of every poll. Each must find its rows by the host's part of an index, however many
// hosts work and however many jobs rest; a test looks at their plans. That is why an agent's jobs are
// looked for by its host as well: there is no index by agent.
pub(in crate::db) const READY: &str = select_jobs!(
    "AS job
      WHERE host_id = ?1 AND state = 'queued' AND not_before <= ?2 AND expires_at > ?2
        AND NOT EXISTS (SELECT 1 FROM jobs AS other
             WHERE other.tenant_id = job.tenant_id AND other.id <> job.id
               AND other.state IN ('leased', 'running', 'rollback_failed', 'queued')
               AND (other.state <> 'queued' OR other.id < job.id))
      ORDER BY id LIMIT ?3"
);
pub(in crate::db) const OUT_TO: &str = select_jobs!(
    "WHERE host_id = (SELECT host_id FROM agents WHERE id = ?1)
        AND agent_id = ?1 AND state IN ('leased', 'running') ORDER BY id"
);
pub(in crate::db) const HAS_OUT_TO: &str =
    "SELECT 1 FROM jobs WHERE host_id = ?1 AND agent_id = ?2 AND state IN ('leased', 'running')";
pub(in crate::db) const NEXT_NOT_BEFORE: &str =
    "SELECT min(not_before) FROM jobs WHERE host_id = ?1 AND state = 'queued' AND not_before > ?2";

/// The jobs that can be given out now: of each tenant only its oldest open one, and only if that one
/// waits and may start.
///
/// # Errors
/// When the database fails.
pub fn ready(read: &Read<'_>, host: HostId, limit: usize) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(READY)?
        .query_map(params![host.to_string(), read.now().as_millis(), limit], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Whether [`ready`] has any.
///
/// # Errors
/// When the database fails.
pub fn has_ready(read: &Read<'_>, host: HostId) -> Result<bool, AppError> {
    let found = read.sql().prepare_cached(READY)?.exists(params![
        host.to_string(),
        read.now().as_millis(),
        1
    ])?;
    Ok(found)
}

/// Whether [`out_to`] has any; the host is the agent's.
///
/// # Errors
/// When the database fails.
pub fn has_out_to(read: &Read<'_>, host: HostId, agent: AgentId) -> Result<bool, AppError> {
    let found =
        read.sql().prepare_cached(HAS_OUT_TO)?.exists([host.to_string(), agent.to_string()])?;
    Ok(found)
}

/// Whether any job waits for a host, now or later.
///
/// # Errors
/// When the database fails.
pub fn has_queued(read: &Read<'_>, host: HostId) -> Result<bool, AppError> {
    let found = read
        .sql()
        .prepare_cached("SELECT 1 FROM jobs WHERE host_id = ?1 AND state = 'queued'")?
        .exists([host.to_string()])?;
    Ok(found)
}

/// The jobs that an agent has in hand (leased or running).
///
/// # Errors
/// When the database fails.
pub fn out_to(read: &Read<'_>, agent: AgentId) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(OUT_TO)?
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
            select_jobs!("WHERE host_id = (SELECT host_id FROM agents WHERE id = ?1)
                AND agent_id = ?1 AND state IN ('leased', 'running', 'rollback_failed') ORDER BY id"),
        )?
        .query_map([agent.to_string()], JobRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The jobs that wait for a host, oldest first.
///
/// # Errors
/// When the database fails.
pub fn queued_for(read: &Read<'_>, host: HostId) -> Result<Vec<JobRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(select_jobs!("WHERE host_id = ?1 AND state = 'queued' ORDER BY id"))?
        .query_map([host.to_string()], JobRow::from_row)?
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
        .prepare_cached(NEXT_NOT_BEFORE)?
        .query_row(params![host.to_string(), read.now().as_millis()], |row| row.get(0))?;
    Ok(earliest.map(Timestamp::from_millis))
}
