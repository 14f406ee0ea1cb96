//! Events and reports of jobs.

use std::str::FromStr as _;

use freehold_protocol::{
    dsse::Envelope,
    ids::{AgentId, JobId, Sha256Digest},
    report::{Event, EventKind, Outcome},
    time::Timestamp,
};
use rusqlite::{Row, params, types::FromSqlError};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// Longest message that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 4096;

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The attempt.
    pub attempt: u32,
    /// The event.
    pub event: Event,
    /// When the portal got it.
    pub received_at: Timestamp,
}

fn kind_text(kind: EventKind) -> Result<String, AppError> {
    Ok(codec::to_json(&kind)?.trim_matches('"').to_owned())
}

impl EventRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let what: String = row.get("what")?;
        let what = serde_json::Value::from_str(&format!("\"{what}\""))
            .and_then(serde_json::from_value)
            .map_err(|error| FromSqlError::Other(Box::new(error)))?;
        Ok(Self {
            attempt: row.get("attempt")?,
            event: Event {
                n: row.get("n")?,
                at: codec::time(row, "at")?,
                step: row.get("step")?,
                what,
                message: row.get("message")?,
            },
            received_at: codec::time(row, "received_at")?,
        })
    }
}

/// The number of the next event that is missing.
///
/// # Errors
/// When the database fails.
pub fn next(read: &Read<'_>, job: JobId, attempt: u32) -> Result<u64, AppError> {
    let last: Option<u64> = read
        .sql()
        .prepare_cached("SELECT max(n) FROM events WHERE job_id = ?1 AND attempt = ?2")?
        .query_row(params![job.to_string(), attempt], |row| row.get(0))?;
    Ok(last.unwrap_or(0) + 1)
}

/// Appends an event. Its number must be the next one.
///
/// # Errors
/// When the database fails.
pub fn append(tx: &Tx<'_>, job: JobId, attempt: u32, event: &Event) -> Result<(), AppError> {
    let mut end = event.message.len().min(MAX_MESSAGE_BYTES);
    while !event.message.is_char_boundary(end) {
        end -= 1;
    }
    tx.sql()
        .prepare_cached(
            "INSERT INTO events (job_id, attempt, n, at, step, what, message, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            job.to_string(),
            attempt,
            event.n,
            event.at.as_millis(),
            event.step,
            kind_text(event.what)?,
            &event.message[..end],
            tx.now().as_millis(),
        ])?;
    Ok(())
}

/// Events after (attempt, n), in order, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn page(
    read: &Read<'_>,
    job: JobId,
    after: (u32, u64),
    limit: usize,
) -> Result<Vec<EventRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM events WHERE job_id = ?1 AND (attempt > ?2 OR (attempt = ?2 AND n > ?3))
              ORDER BY attempt, n LIMIT ?4",
        )?
        .query_map(params![job.to_string(), after.0, after.1, limit], EventRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Keeps a report word for word; says whether it is new.
///
/// # Errors
/// When the database fails.
pub fn keep_report(
    tx: &Tx<'_>,
    agent: AgentId,
    job: JobId,
    attempt: u32,
    digest: Sha256Digest,
    outcome: Outcome,
    envelope: &Envelope,
) -> Result<bool, AppError> {
    let changed = tx.sql().execute(
        "INSERT INTO reports (job_id, attempt, digest, agent_id, outcome, envelope, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![
            job.to_string(),
            attempt,
            digest.to_string(),
            agent.to_string(),
            codec::to_json(&outcome)?.trim_matches('"'),
            codec::to_json(envelope)?,
            tx.now().as_millis(),
        ],
    )?;
    Ok(changed == 1)
}

/// The report envelopes of a job, oldest first.
///
/// # Errors
/// When the database fails.
pub fn reports(read: &Read<'_>, job: JobId) -> Result<Vec<(u32, Envelope, Timestamp)>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT * FROM reports WHERE job_id = ?1 ORDER BY attempt, received_at")?
        .query_map([job.to_string()], |row| {
            Ok((
                row.get("attempt")?,
                codec::json(row, "envelope")?,
                codec::time(row, "received_at")?,
            ))
        })?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}
