//! The signed jobs that agents have reported on, with those reports: what vouches for the audit log.

use freehold_protocol::{dsse::Envelope, ids::HostName};
use rusqlite::{Row, params};

use super::{Read, agents::StoredKey, codec};
use crate::error::AppError;

/// Bytes of envelopes after which a page ends, so that an answer stays small whatever jobs carry. One
/// more pair may come on top.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// A job and the report on it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointRow {
    /// Its place: later reports have higher ones.
    pub place: i64,
    /// The host.
    pub host: HostName,
    /// Verifies the report.
    pub report_key: StoredKey,
    /// The job as it was signed.
    pub job: Envelope,
    /// The report as it came.
    pub report: Envelope,
    bytes: usize,
}

impl CheckpointRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            place: row.get("place")?,
            host: codec::text(row, "host")?,
            report_key: StoredKey::from_column(row.get("report_key")?),
            job: codec::json(row, "job")?,
            report: codec::json(row, "report")?,
            bytes: row.get("bytes")?,
        })
    }
}

/// Those before a place, newest first: at most `limit`, and about 1 MiB. Says whether more follow.
///
/// # Errors
/// When the database fails.
pub fn before(
    read: &Read<'_>,
    place: Option<i64>,
    limit: u32,
) -> Result<(Vec<CheckpointRow>, bool), AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT r.rowid AS place, h.name AS host, a.report_key AS report_key, e.envelope AS job,
                r.envelope AS report, length(e.envelope) + length(r.envelope) AS bytes
         FROM reports r
         JOIN envelopes e ON e.job_id = r.job_id AND e.attempt = r.attempt AND e.agent_id = r.agent_id
              AND e.digest = r.job_digest
         JOIN agents a ON a.id = r.agent_id
         JOIN hosts h ON h.id = a.host_id
         WHERE r.rowid < ?1
         ORDER BY r.rowid DESC",
    )?;
    let mut rows = statement.query(params![place.unwrap_or(i64::MAX)])?;
    let mut page: Vec<CheckpointRow> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if page.len() >= limit as usize || bytes > MAX_PAGE_BYTES {
            return Ok((page, true));
        }
        let row = CheckpointRow::from_row(row)?;
        bytes += row.bytes;
        page.push(row);
    }
    Ok((page, false))
}
