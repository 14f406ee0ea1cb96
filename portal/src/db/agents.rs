//! Agents: one row for each enrollment of a host.

use freehold_protocol::{
    dsse::Envelope,
    ids::{AgentId, HostId, Sha256Digest},
    keys::{PublicKey, SealPublicKey},
    time::Timestamp,
    wire::Head,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec, expect_one, seen::Seen};
use crate::error::AppError;

/// A public key as its column holds it. It is parsed where it is used: to find the point that 32 bytes
/// stand for costs more than the statement that reads them, and most readers want none of an agent's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey(String);

impl StoredKey {
    /// What a column holds.
    pub(super) const fn from_column(text: String) -> Self {
        Self(text)
    }

    /// The key.
    ///
    /// # Errors
    /// When the column holds none, which is a defect.
    pub fn key(&self) -> Result<PublicKey, AppError> {
        self.0
            .parse()
            .map_err(|error| AppError::bug("a stored public key is malformed").because(error))
    }
}

impl From<PublicKey> for StoredKey {
    fn from(key: PublicKey) -> Self {
        Self(key.to_string())
    }
}

/// An agent: one enrollment of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRow {
    /// Identifier.
    pub id: AgentId,
    /// Its host.
    pub host_id: HostId,
    /// Verifies its HTTP signatures.
    pub identity_key: StoredKey,
    /// Verifies its reports.
    pub report_key: StoredKey,
    /// Secrets are sealed to it.
    pub seal_key: SealPublicKey,
    /// Version of the agent.
    pub version: String,
    /// Its chain as the portal signed it.
    pub head: Head,
    /// Epoch and sequence number up to which its executor has the chain.
    pub acked: (u64, u64),
    /// Trust version that its executor holds.
    pub trust_version: u64,
    /// Its last poll.
    pub last_seen_at: Option<Timestamp>,
    /// When its next poll should come.
    pub expected_at: Option<Timestamp>,
    /// Its clock minus the portal's.
    pub clock_skew_ms: i64,
    /// Whether the operator of the host has drained it.
    pub draining: bool,
    /// Since when its chain is in conflict.
    pub conflict_at: Option<Timestamp>,
    /// The head that it showed then.
    pub conflict_head: Option<Head>,
    /// The envelope of that head.
    pub conflict_proof: Option<Envelope>,
    /// When it enrolled.
    pub created_at: Timestamp,
    /// When it was replaced or revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The columns in the order in which [`AgentRow::from_row`] takes them.
const GET: &str = "SELECT id, host_id, identity_key, report_key, seal_key, version, head_epoch, head_seq, head_hash,
        acked_epoch, acked_seq, trust_version, last_seen_at, expected_at, clock_skew_ms, draining,
        conflict_at, conflict_head, conflict_proof, created_at, revoked_at
      FROM agents WHERE id = ?1";

impl AgentRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut cells = codec::Cells::of(row);
        Ok(Self {
            id: cells.text()?,
            host_id: cells.text()?,
            identity_key: StoredKey(cells.get()?),
            report_key: StoredKey(cells.get()?),
            seal_key: cells.json()?,
            version: cells.get()?,
            head: Head { epoch: cells.get()?, seq: cells.get()?, hash: cells.text()? },
            acked: (cells.get()?, cells.get()?),
            trust_version: cells.get()?,
            last_seen_at: cells.time_opt()?,
            expected_at: cells.time_opt()?,
            clock_skew_ms: cells.get()?,
            draining: cells.get()?,
            conflict_at: cells.time_opt()?,
            conflict_head: cells.json_opt()?,
            conflict_proof: cells.json_opt()?,
            created_at: cells.time()?,
            revoked_at: cells.time_opt()?,
        })
    }

    /// Digest over the three public keys: whether the same agent asks again.
    #[must_use]
    pub fn keys_digest(
        identity: &PublicKey,
        report: &PublicKey,
        seal: &SealPublicKey,
    ) -> Sha256Digest {
        let bytes: Vec<u8> =
            [identity.as_bytes().as_slice(), report.as_bytes(), seal.as_bytes()].concat();
        Sha256Digest::of(&bytes)
    }
}

/// The agent with this identifier, revoked or not.
///
/// # Errors
/// [`crate::error::Kind::NotFound`].
pub fn get(read: &Read<'_>, id: AgentId) -> Result<AgentRow, AppError> {
    let row = read
        .sql()
        .prepare_cached(GET)?
        .query_row([id.to_string()], AgentRow::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("agent", id))?;
    Ok(match read.seen.of(id) {
        Some(seen) => AgentRow {
            last_seen_at: Some(seen.at),
            expected_at: Some(seen.expected_at),
            clock_skew_ms: seen.clock_skew_ms,
            acked: seen.acked,
            ..row
        },
        None => row,
    })
}

/// Adds an agent and makes it its host's; the one before it is revoked.
///
/// # Errors
/// When the database fails.
pub fn install(tx: &Tx<'_>, agent: &AgentRow) -> Result<(), AppError> {
    let now = tx.now().as_millis();
    tx.sql().execute(
        "UPDATE agents SET revoked_at = ?2 WHERE host_id = ?1 AND revoked_at IS NULL",
        params![agent.host_id.to_string(), now],
    )?;
    tx.sql().execute(
        "INSERT INTO agents (id, host_id, identity_key, report_key, seal_key, version, head_epoch, head_seq, head_hash,
                             acked_epoch, acked_seq, trust_version, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?7, ?8, ?10, ?11)",
        params![
            agent.id.to_string(),
            agent.host_id.to_string(),
            agent.identity_key.0,
            agent.report_key.0,
            codec::to_json(&agent.seal_key)?,
            agent.version,
            agent.head.epoch,
            agent.head.seq,
            agent.head.hash.to_string(),
            agent.trust_version,
            now,
        ],
    )?;
    let changed = tx.sql().execute(
        "UPDATE hosts SET agent_id = ?2, state = 'enrolled', revoked_at = NULL, updated_at = ?3 WHERE id = ?1",
        params![agent.host_id.to_string(), agent.id.to_string(), now],
    )?;
    expect_one(changed, "host")
}

/// Revokes a host's agent: it can no longer speak to the portal.
///
/// # Errors
/// `transition_refused` when the host has another agent by now.
pub fn revoke(tx: &Tx<'_>, host: HostId, agent: AgentId) -> Result<(), AppError> {
    let (host, now) = (host.to_string(), tx.now().as_millis());
    tx.sql().execute(
        "UPDATE agents SET revoked_at = ?2 WHERE host_id = ?1 AND revoked_at IS NULL",
        params![host, now],
    )?;
    let changed = tx.sql().execute(
        "UPDATE hosts SET agent_id = NULL, state = 'new', revoked_at = ?3, updated_at = ?3,
                generation = generation + 1
          WHERE id = ?1 AND agent_id = ?2",
        params![host, agent.to_string(), now],
    )?;
    expect_one(changed, "host")
}

/// What a poll says about its agent.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The agent.
    pub agent: AgentId,
    /// Version of the agent.
    pub version: &'a str,
    /// Its clock minus the portal's.
    pub clock_skew_ms: i64,
    /// See [`AgentRow::draining`].
    pub draining: bool,
    /// See [`AgentRow::trust_version`].
    pub trust_version: u64,
    /// See [`AgentRow::acked`].
    pub acked: (u64, u64),
    /// When the next poll should come.
    pub expected_at: Timestamp,
}

/// Notes a poll.
///
/// # Errors
/// When the database fails, or the agent was revoked meanwhile.
pub fn note_standing(tx: &Tx<'_>, seen: &Standing<'_>) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE agents SET last_seen_at = ?2, expected_at = ?3, version = ?4, clock_skew_ms = ?5, draining = ?6,
                    trust_version = ?7, acked_epoch = ?8, acked_seq = ?9
              WHERE id = ?1 AND revoked_at IS NULL",
        )?
        .execute(params![
            seen.agent.to_string(),
            tx.now().as_millis(),
            seen.expected_at.as_millis(),
            seen.version,
            seen.clock_skew_ms,
            seen.draining,
            seen.trust_version,
            seen.acked.0,
            seen.acked.1,
        ])?;
    expect_one(changed, "agent")
}

/// Writes what was noted in memory; of an agent that was revoked or deleted meanwhile nothing.
pub(super) fn save_seen(tx: &Tx<'_>, agent: AgentId, seen: &Seen) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "UPDATE agents SET last_seen_at = ?2, expected_at = ?3, clock_skew_ms = ?4, acked_epoch = ?5, acked_seq = ?6
              WHERE id = ?1 AND revoked_at IS NULL",
        )?
        .execute(params![
            agent.to_string(),
            seen.at.as_millis(),
            seen.expected_at.as_millis(),
            seen.clock_skew_ms,
            seen.acked.0,
            seen.acked.1,
        ])?;
    Ok(())
}

/// Moves the head of an agent's chain, if it still is the old one.
///
/// # Errors
/// `transition_refused` when it is not.
pub fn move_head(tx: &Tx<'_>, agent: AgentId, from: Head, to: Head) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE agents SET head_epoch = ?4, head_seq = ?5, head_hash = ?6
              WHERE id = ?1 AND head_epoch = ?2 AND head_seq = ?3",
        )?
        .execute(params![
            agent.to_string(),
            from.epoch,
            from.seq,
            to.epoch,
            to.seq,
            to.hash.to_string(),
        ])?;
    expect_one(changed, "agent's chain")
}

/// Notes that an agent's chain is in conflict, and its proof when it sent one.
///
/// # Errors
/// When the database fails.
pub fn note_conflict(
    tx: &Tx<'_>,
    agent: AgentId,
    head: &Head,
    proof: Option<&Envelope>,
) -> Result<(), AppError> {
    let proof = proof.map(codec::to_json).transpose()?;
    let changed = tx.sql().execute(
        "UPDATE agents SET conflict_at = coalesce(conflict_at, ?2), conflict_head = ?3,
                conflict_proof = coalesce(?4, conflict_proof) WHERE id = ?1",
        params![agent.to_string(), tx.now().as_millis(), codec::to_json(head)?, proof],
    )?;
    expect_one(changed, "agent")
}

/// Ends a conflict.
///
/// # Errors
/// When the database fails.
pub fn clear_conflict(tx: &Tx<'_>, agent: AgentId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE agents SET conflict_at = NULL, conflict_head = NULL, conflict_proof = NULL WHERE id = ?1",
        [agent.to_string()],
    )?;
    expect_one(changed, "agent")
}

/// Every agent that may speak to the portal.
///
/// # Errors
/// When the database fails.
pub fn active(read: &Read<'_>) -> Result<Vec<AgentId>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT id FROM agents WHERE revoked_at IS NULL")?
        .query_map([], |row| codec::text(row, "id"))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}
