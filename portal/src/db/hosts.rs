//! Hosts and their agents.

use std::collections::BTreeMap;

use freehold_protocol::{
    dsse::Envelope,
    ids::{AgentId, HostId, HostName, PortRange, Sha256Digest},
    keys::{PublicKey, SealPublicKey},
    time::Timestamp,
    wire::Head,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec, expect_one, is_unique_violation};
use crate::{domain::spelled, error::AppError};

spelled! {
    /// Where a host stands.
    HostState, "host state" {
        /// No agent has enrolled yet.
        New = "new",
        /// An agent is enrolled.
        Enrolled = "enrolled",
        /// The agent's chain of jobs goes beyond the portal's: no job until an admin resumes it.
        Conflict = "conflict",
    }
}

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostRow {
    /// Identifier.
    pub id: HostId,
    /// Name.
    pub name: HostName,
    /// State.
    pub state: HostState,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Most tenants, if limited.
    pub tenant_limit: Option<u32>,
    /// Port ranges by role that go before the blueprint's.
    pub port_ranges: BTreeMap<String, PortRange>,
    /// Whether an admin has drained it.
    pub drained: bool,
    /// Its agent.
    pub agent_id: Option<AgentId>,
    /// Rises with every change by an admin (`ETag`).
    pub generation: u64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when an admin has given it up.
    pub revoked_at: Option<Timestamp>,
}

impl HostRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: codec::text(row, "id")?,
            name: codec::text(row, "name")?,
            state: row.get("state")?,
            labels: codec::json(row, "labels")?,
            tenant_limit: row.get("tenant_limit")?,
            port_ranges: codec::json(row, "port_ranges")?,
            drained: row.get("drained")?,
            agent_id: codec::text_opt(row, "agent_id")?,
            generation: row.get("generation")?,
            created_at: codec::time(row, "created_at")?,
            updated_at: codec::time(row, "updated_at")?,
            revoked_at: codec::time_opt(row, "revoked_at")?,
        })
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
    pub identity_key: PublicKey,
    /// Verifies its reports.
    pub report_key: PublicKey,
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

impl AgentRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: codec::text(row, "id")?,
            host_id: codec::text(row, "host_id")?,
            identity_key: codec::text(row, "identity_key")?,
            report_key: codec::text(row, "report_key")?,
            seal_key: codec::json(row, "seal_key")?,
            version: row.get("version")?,
            head: Head {
                epoch: row.get("head_epoch")?,
                seq: row.get("head_seq")?,
                hash: codec::text(row, "head_hash")?,
            },
            acked: (row.get("acked_epoch")?, row.get("acked_seq")?),
            trust_version: row.get("trust_version")?,
            last_seen_at: codec::time_opt(row, "last_seen_at")?,
            expected_at: codec::time_opt(row, "expected_at")?,
            clock_skew_ms: row.get("clock_skew_ms")?,
            draining: row.get("draining")?,
            conflict_at: codec::time_opt(row, "conflict_at")?,
            conflict_head: codec::json_opt(row, "conflict_head")?,
            conflict_proof: codec::json_opt(row, "conflict_proof")?,
            created_at: codec::time(row, "created_at")?,
            revoked_at: codec::time_opt(row, "revoked_at")?,
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

/// Adds a host.
///
/// # Errors
/// [`crate::error::Kind::Conflict`] when the name is taken.
pub fn insert(tx: &Tx<'_>, host: &HostRow) -> Result<(), AppError> {
    let added = tx.sql().execute(
        "INSERT INTO hosts (id, name, state, labels, tenant_limit, port_ranges, drained, agent_id, generation, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, 1, ?8, ?8)",
        params![
            host.id.to_string(),
            host.name.as_str(),
            host.state,
            codec::to_json(&host.labels)?,
            host.tenant_limit,
            codec::to_json(&host.port_ranges)?,
            host.drained,
            tx.now().as_millis(),
        ],
    );
    match added {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(AppError::conflict(
            "host_name_taken",
            format!("there is already a host {}", host.name),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Writes the fields that an admin may change, if the generation is still the one that was read.
///
/// # Errors
/// `transition_refused` when somebody else was faster.
pub fn update(tx: &Tx<'_>, host: &HostRow) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE hosts SET labels = ?3, tenant_limit = ?4, port_ranges = ?5, drained = ?6,
                generation = generation + 1, updated_at = ?7
          WHERE id = ?1 AND generation = ?2",
        params![
            host.id.to_string(),
            host.generation,
            codec::to_json(&host.labels)?,
            host.tenant_limit,
            codec::to_json(&host.port_ranges)?,
            host.drained,
            tx.now().as_millis(),
        ],
    )?;
    expect_one(changed, "host")
}

/// Moves a host from one state to another.
///
/// # Errors
/// `transition_refused` when it is not in the old state.
pub fn set_state(tx: &Tx<'_>, id: HostId, from: HostState, to: HostState) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE hosts SET state = ?3, updated_at = ?4 WHERE id = ?1 AND state = ?2",
        params![id.to_string(), from, to, tx.now().as_millis()],
    )?;
    expect_one(changed, "host")
}

/// Deletes a host that holds no tenant and no job. Its agents and enrollments go with it.
///
/// # Errors
/// [`crate::error::Kind::Conflict`] when tenants or jobs still name it.
pub fn delete(tx: &Tx<'_>, id: HostId) -> Result<(), AppError> {
    let text = id.to_string();
    let used: u64 = tx.sql().query_row(
        "SELECT (SELECT count(*) FROM tenants WHERE host_id = ?1) + (SELECT count(*) FROM jobs WHERE host_id = ?1)",
        [&text],
        |row| row.get(0),
    )?;
    if used > 0 {
        return Err(AppError::conflict("host_in_use", "tenants or jobs still name this host")
            .advice("remove its tenants and delete its jobs first"));
    }
    tx.sql().execute("UPDATE hosts SET agent_id = NULL WHERE id = ?1", [&text])?;
    let changed = tx.sql().execute("DELETE FROM hosts WHERE id = ?1", [&text])?;
    expect_one(changed, "host")
}

/// The host with this identifier.
///
/// # Errors
/// [`crate::error::Kind::NotFound`].
pub fn get(read: &Read<'_>, id: HostId) -> Result<HostRow, AppError> {
    read.sql()
        .prepare_cached("SELECT * FROM hosts WHERE id = ?1")?
        .query_row([id.to_string()], HostRow::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("host", id))
}

/// The host with this name.
///
/// # Errors
/// When the database fails.
pub fn by_name(read: &Read<'_>, name: &HostName) -> Result<Option<HostRow>, AppError> {
    Ok(read
        .sql()
        .prepare_cached("SELECT * FROM hosts WHERE name = ?1")?
        .query_row([name.as_str()], HostRow::from_row)
        .optional()?)
}

/// All hosts with names after `after`, by name.
///
/// # Errors
/// When the database fails.
pub fn page(read: &Read<'_>, after: &str, limit: usize) -> Result<Vec<HostRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT * FROM hosts WHERE name > ?1 ORDER BY name LIMIT ?2")?
        .query_map(params![after, limit], HostRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The agent with this identifier, revoked or not.
///
/// # Errors
/// [`crate::error::Kind::NotFound`].
pub fn agent(read: &Read<'_>, id: AgentId) -> Result<AgentRow, AppError> {
    read.sql()
        .prepare_cached("SELECT * FROM agents WHERE id = ?1")?
        .query_row([id.to_string()], AgentRow::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("agent", id))
}

/// Adds an agent and makes it its host's; the one before it is revoked.
///
/// # Errors
/// When the database fails.
pub fn install_agent(tx: &Tx<'_>, agent: &AgentRow) -> Result<(), AppError> {
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
            agent.identity_key.to_string(),
            agent.report_key.to_string(),
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
pub fn revoke_agent(tx: &Tx<'_>, host: HostId, agent: AgentId) -> Result<(), AppError> {
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
pub struct Seen<'a> {
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
/// When the database fails.
pub fn note_seen(tx: &Tx<'_>, seen: &Seen<'_>) -> Result<(), AppError> {
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
pub fn active_agents(read: &Read<'_>) -> Result<Vec<AgentId>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT id FROM agents WHERE revoked_at IS NULL")?
        .query_map([], |row| codec::text(row, "id"))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}
