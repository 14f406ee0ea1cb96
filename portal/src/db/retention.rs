//! What makes history end: statements that take away a few rows at a time.
//!
//! The audit log is not among it: each of its rows covers the one before, so that it is kept whole.

use freehold_protocol::{
    ids::{AgentId, JobId},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// States in which a job is done with: at rest, and nobody has to look any more.
const DONE: &str =
    "state IN ('succeeded', 'failed', 'rolled_back', 'cancelled', 'expired', 'dead')";

/// The end of the youngest job beyond the newest `keep` that are done with.
///
/// # Errors
/// When the database fails.
pub fn end_of_job_beyond(read: &Read<'_>, keep: u32) -> Result<Option<Timestamp>, AppError> {
    let sql = format!(
        "SELECT ended_at FROM jobs WHERE ended_at IS NOT NULL AND {DONE}
          ORDER BY ended_at DESC LIMIT 1 OFFSET ?1"
    );
    Ok(read
        .sql()
        .prepare_cached(&sql)?
        .query_row([keep], |row| row.get(0).map(Timestamp::from_millis))
        .optional()?)
}

/// How many events there are.
///
/// # Errors
/// When the database fails.
pub fn count_events(read: &Read<'_>) -> Result<u64, AppError> {
    Ok(read.sql().query_row("SELECT count(*) FROM events", [], |row| row.get(0))?)
}

/// Jobs done with that ended at `until` or before, oldest first; only those that have events when asked.
///
/// # Errors
/// When the database fails.
pub fn jobs_ended(
    read: &Read<'_>,
    until: Timestamp,
    only_with_events: bool,
    limit: u32,
) -> Result<Vec<JobId>, AppError> {
    let sql = format!(
        "SELECT id FROM jobs WHERE ended_at <= ?1 AND {DONE}
            AND (NOT ?2 OR EXISTS (SELECT 1 FROM events WHERE job_id = jobs.id))
          ORDER BY ended_at LIMIT ?3"
    );
    let rows = read
        .sql()
        .prepare_cached(&sql)?
        .query_map(params![until.as_millis(), only_with_events, limit], |row| {
            codec::text(row, "id")
        })?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Deletes at most `limit` events of a job that is done with; says how many.
///
/// # Errors
/// When the database fails.
pub fn delete_events(tx: &Tx<'_>, job: JobId, limit: u32) -> Result<usize, AppError> {
    let sql = format!(
        "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE job_id = ?1 LIMIT ?2)
            AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND {DONE})"
    );
    Ok(tx.sql().prepare_cached(&sql)?.execute(params![job.to_string(), limit])?)
}

/// Deletes those of these jobs that are done with, ended at `until` or before, and have no events any
/// more. Their reports go with them; their envelopes are links of a chain and are judged alone.
///
/// # Errors
/// When the database fails.
pub fn delete_jobs(tx: &Tx<'_>, jobs: &[JobId], until: Timestamp) -> Result<usize, AppError> {
    let sql = format!(
        "DELETE FROM jobs WHERE id = ?1 AND ended_at <= ?2 AND {DONE}
            AND NOT EXISTS (SELECT 1 FROM events WHERE job_id = jobs.id)"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    jobs.iter().try_fold(0, |deleted, job| {
        Ok(deleted + statement.execute(params![job.to_string(), until.as_millis()])?)
    })
}

/// Places of at most `limit` envelopes that were signed at `until` or before, whose job is gone, and that
/// no agent will ask for: its executor has said that it holds them, or the agent was revoked.
///
/// # Errors
/// When the database fails.
pub fn spent_envelopes(
    read: &Read<'_>,
    agent: AgentId,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<(u64, u64)>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT e.epoch, e.seq FROM envelopes e JOIN agents a ON a.id = e.agent_id
              WHERE e.agent_id = ?1 AND e.created_at <= ?2
                AND (a.revoked_at IS NOT NULL OR (e.epoch, e.seq) <= (a.acked_epoch, a.acked_seq))
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = e.job_id)
              LIMIT ?3",
        )?
        .query_map(params![agent.to_string(), until.as_millis(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Deletes the envelopes at these places, unless the agent was set back meanwhile and needs them again.
///
/// # Errors
/// When the database fails.
pub fn delete_envelopes(
    tx: &Tx<'_>,
    agent: AgentId,
    places: &[(u64, u64)],
) -> Result<usize, AppError> {
    let mut statement = tx.sql().prepare_cached(
        "DELETE FROM envelopes WHERE agent_id = ?1 AND epoch = ?2 AND seq = ?3
            AND EXISTS (SELECT 1 FROM agents a WHERE a.id = ?1
                 AND (a.revoked_at IS NOT NULL OR (?2, ?3) <= (a.acked_epoch, a.acked_seq)))",
    )?;
    places.iter().try_fold(0, |deleted, (epoch, seq)| {
        Ok(deleted + statement.execute(params![agent.to_string(), epoch, seq])?)
    })
}

/// Every agent, revoked or not.
///
/// # Errors
/// When the database fails.
pub fn agents(read: &Read<'_>) -> Result<Vec<AgentId>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT id FROM agents ORDER BY id")?
        .query_map([], |row| codec::text(row, "id"))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Deletes at most `limit` enrollment tokens that can no longer be used: older than `until`, or beyond
/// the newest `keep` of their host.
///
/// # Errors
/// When the database fails.
pub fn delete_enrollments(
    tx: &Tx<'_>,
    until: Timestamp,
    keep: u32,
    limit: u32,
) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM enrollments WHERE id IN
            (SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY host_id ORDER BY id DESC) AS place FROM enrollments)
              WHERE (used_at IS NOT NULL OR revoked_at IS NOT NULL OR expires_at < ?4)
                AND (created_at <= ?1 OR place > ?2) LIMIT ?3)",
        params![until.as_millis(), keep, limit, tx.now().as_millis()],
    )?)
}

/// Deletes at most `limit` orphan reports that came at `until` or before.
///
/// # Errors
/// When the database fails.
pub fn delete_orphans(tx: &Tx<'_>, until: Timestamp, limit: u32) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM orphan_reports WHERE (host_id, digest) IN
            (SELECT host_id, digest FROM orphan_reports WHERE received_at <= ?1 LIMIT ?2)",
        params![until.as_millis(), limit],
    )?)
}
