//! The chains: every envelope ever given to an agent, in order.

use freehold_protocol::{
    dsse::Envelope,
    ids::{AgentId, JobId, Sha256Digest},
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// One link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Epoch.
    pub epoch: u64,
    /// Sequence number.
    pub seq: u64,
    /// Digest of the payload.
    pub digest: Sha256Digest,
    /// The job.
    pub job_id: JobId,
    /// Its attempt.
    pub attempt: u32,
    /// The signed job.
    pub envelope: Envelope,
}

impl Link {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            epoch: row.get("epoch")?,
            seq: row.get("seq")?,
            digest: codec::text(row, "digest")?,
            job_id: codec::text(row, "job_id")?,
            attempt: row.get("attempt")?,
            envelope: codec::json(row, "envelope")?,
        })
    }
}

/// Appends a link.
///
/// # Errors
/// When the database fails, also when the place is taken.
pub fn append(tx: &Tx<'_>, agent: AgentId, link: &Link) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO envelopes (agent_id, epoch, seq, digest, job_id, attempt, envelope, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            agent.to_string(),
            link.epoch,
            link.seq,
            link.digest.to_string(),
            link.job_id.to_string(),
            link.attempt,
            codec::to_json(&link.envelope)?,
            tx.now().as_millis(),
        ])?;
    Ok(())
}

/// The links of an epoch after a sequence number, in order, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn after(
    read: &Read<'_>,
    agent: AgentId,
    epoch: u64,
    seq: u64,
    limit: usize,
) -> Result<Vec<Link>, AppError> {
    let rows = read
        .sql()
        .prepare_cached(
            "SELECT * FROM envelopes WHERE agent_id = ?1 AND epoch = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        )?
        .query_map(params![agent.to_string(), epoch, seq, limit], Link::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The digest at a place of a chain.
///
/// # Errors
/// When the database fails.
pub fn digest_at(
    read: &Read<'_>,
    agent: AgentId,
    epoch: u64,
    seq: u64,
) -> Result<Option<Sha256Digest>, AppError> {
    let digest: Option<String> = read
        .sql()
        .prepare_cached(
            "SELECT digest FROM envelopes WHERE agent_id = ?1 AND epoch = ?2 AND seq = ?3",
        )?
        .query_row(params![agent.to_string(), epoch, seq], |row| row.get(0))
        .optional()?;
    digest
        .map(|digest| digest.parse().map_err(|_| AppError::bug("a stored digest is malformed")))
        .transpose()
}

/// Whether exactly this job was given to this agent in this attempt.
///
/// # Errors
/// When the database fails.
pub fn was_given(
    read: &Read<'_>,
    agent: AgentId,
    job: JobId,
    attempt: u32,
    digest: Sha256Digest,
) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT 1 FROM envelopes WHERE agent_id = ?1 AND job_id = ?2 AND attempt = ?3 AND digest = ?4",
        )?
        .exists(params![agent.to_string(), job.to_string(), attempt, digest.to_string()])?)
}

/// Whether a job was given to this agent in this attempt.
///
/// # Errors
/// When the database fails.
pub fn was_given_attempt(
    read: &Read<'_>,
    agent: AgentId,
    job: JobId,
    attempt: u32,
) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT 1 FROM envelopes WHERE agent_id = ?1 AND job_id = ?2 AND attempt = ?3",
        )?
        .exists(params![agent.to_string(), job.to_string(), attempt])?)
}
