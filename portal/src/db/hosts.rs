//! Hosts.

use std::collections::BTreeMap;

use freehold_protocol::{
    ids::{AgentId, HostId, HostName, PortRange},
    time::Timestamp,
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

/// A statement for rows of the table, with the columns in the order in which [`HostRow::from_row`]
/// takes them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, state, labels, tenant_limit, port_ranges, drained, agent_id, generation, created_at,
             updated_at, revoked_at FROM hosts ",
            $rest
        )
    };
}

impl HostRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut cells = codec::Cells::of(row);
        Ok(Self {
            id: cells.text()?,
            name: cells.text()?,
            state: cells.get()?,
            labels: cells.json()?,
            tenant_limit: cells.get()?,
            port_ranges: cells.json()?,
            drained: cells.get()?,
            agent_id: cells.text_opt()?,
            generation: cells.get()?,
            created_at: cells.time()?,
            updated_at: cells.time()?,
            revoked_at: cells.time_opt()?,
        })
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
        "SELECT (SELECT count(*) FROM tenants WHERE host_id = ?1) + (SELECT count(*) FROM jobs WHERE host_id = ?1)
            + (SELECT count(*) FROM requests WHERE host_id = ?1 AND status = 'pending')",
        [&text],
        |row| row.get(0),
    )?;
    if used > 0 {
        return Err(AppError::conflict(
            "host_in_use",
            "tenants, jobs or requests still name this host",
        )
        .advice("remove its tenants, delete its jobs and reject or withdraw its requests first"));
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
        .prepare_cached(select!("WHERE id = ?1"))?
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
        .prepare_cached(select!("WHERE name = ?1"))?
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
        .prepare_cached(select!("WHERE name > ?1 ORDER BY name LIMIT ?2"))?
        .query_map(params![after, limit], HostRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}
