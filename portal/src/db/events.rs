//! Events and reports of jobs.

use freehold_protocol::{
    dsse::{Envelope, Verified},
    ids::JobId,
    report::{Event, EventKind, Report},
    time::Timestamp,
};
use rusqlite::params;

use super::{Read, Tx, codec};
use crate::error::AppError;

/// Longest message that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Longest name of a step that is kept, in bytes. Names that we know are a third of it.
pub(super) const MAX_STEP_BYTES: usize = 64;

/// The beginning of a text that an agent sent: what it sends must not fill the disk.
pub(super) fn clipped(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

fn kind_text(kind: EventKind) -> Result<String, AppError> {
    Ok(codec::to_json(&kind)?.trim_matches('"').to_owned())
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
            clipped(&event.step, MAX_STEP_BYTES),
            kind_text(event.what)?,
            clipped(&event.message, MAX_MESSAGE_BYTES),
            tx.now().as_millis(),
        ])?;
    Ok(())
}

/// Keeps a report word for word; says whether it is new.
///
/// # Errors
/// When the database fails.
pub fn keep_report(
    tx: &Tx<'_>,
    opened: &Verified<Report>,
    envelope: &Envelope,
) -> Result<bool, AppError> {
    let report = opened.get();
    let changed = tx
        .sql()
        .prepare_cached(
            "INSERT INTO reports (job_id, attempt, digest, agent_id, outcome, envelope, received_at, job_digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            report.job_id.to_string(),
            report.attempt,
            opened.digest().to_string(),
            report.agent_id.to_string(),
            codec::to_json(&report.outcome)?.trim_matches('"'),
            codec::to_json(envelope)?,
            tx.now().as_millis(),
            report.job_digest.to_string(),
        ])?;
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
