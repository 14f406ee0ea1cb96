//! Reports that answer no job of this database: what agents did after the backup that was restored.

use freehold_protocol::{
    dsse::Envelope,
    failure::Failure,
    ids::{HostId, JobId, Sha256Digest},
    report::Report,
    time::Timestamp,
};
use rusqlite::{Row, params};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// Most that are kept of one host; the oldest go first. What a host may send fills no disk.
pub const MAX_PER_HOST: u32 = 200;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OrphanRow {
    /// The job that it names.
    pub job: JobId,
    /// Its attempt.
    pub attempt: u32,
    /// The job's kind.
    pub kind: String,
    /// How it ended.
    pub outcome: String,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// When it ended, as the agent says.
    pub ended_at: Timestamp,
    /// When the report came.
    pub received_at: Timestamp,
}

impl OrphanRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            job: codec::text(row, "job_id")?,
            attempt: row.get("attempt")?,
            kind: row.get("kind")?,
            outcome: row.get("outcome")?,
            failure: codec::json_opt(row, "failure")?,
            ended_at: codec::time(row, "ended_at")?,
            received_at: codec::time(row, "received_at")?,
        })
    }
}

/// Keeps one word for word; says whether it is new.
///
/// # Errors
/// When the database fails.
pub fn keep(
    tx: &Tx<'_>,
    host: HostId,
    digest: Sha256Digest,
    report: &Report,
    envelope: &Envelope,
) -> Result<bool, AppError> {
    let host = host.to_string();
    let changed = tx.sql().execute(
        "INSERT INTO orphan_reports (host_id, digest, job_id, attempt, kind, outcome, failure, ended_at, envelope, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        params![
            host,
            digest.to_string(),
            report.job_id.to_string(),
            report.attempt,
            report.kind.as_str(),
            codec::to_json(&report.outcome)?.trim_matches('"'),
            report.failure.as_ref().map(codec::to_json).transpose()?,
            report.ended_at.as_millis(),
            codec::to_json(envelope)?,
            tx.now().as_millis(),
        ],
    )?;
    tx.sql().execute(
        "DELETE FROM orphan_reports WHERE host_id = ?1 AND digest IN
            (SELECT digest FROM orphan_reports WHERE host_id = ?1
              ORDER BY received_at DESC, digest LIMIT -1 OFFSET ?2)",
        params![host, MAX_PER_HOST],
    )?;
    Ok(changed == 1)
}

/// The newest of a host, newest first.
///
/// # Errors
/// When the database fails.
pub fn latest(read: &Read<'_>, host: HostId, limit: u32) -> Result<Vec<OrphanRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM orphan_reports WHERE host_id = ?1 ORDER BY received_at DESC, digest LIMIT ?2",
        )?
        .query_map(params![host.to_string(), limit], OrphanRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}
