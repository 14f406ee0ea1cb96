//! The latest inventory of each host.

use freehold_protocol::{
    ids::{AgentId, HostId},
    time::Timestamp,
    wire::Inventory,
};
use rusqlite::{OptionalExtension, params};

use super::{Read, Tx, codec};
use crate::error::AppError;

/// Replaces a host's inventory.
///
/// # Errors
/// When the database fails.
pub fn put(
    tx: &Tx<'_>,
    host: HostId,
    agent: AgentId,
    inventory: &Inventory,
) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO inventories (host_id, agent_id, received_at, facts, tenants, ports) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (host_id) DO UPDATE SET agent_id = excluded.agent_id, received_at = excluded.received_at,
             facts = excluded.facts, tenants = excluded.tenants, ports = excluded.ports",
        params![
            host.to_string(),
            agent.to_string(),
            tx.now().as_millis(),
            codec::to_json(&inventory.facts)?,
            codec::to_json(&inventory.tenants)?,
            codec::to_json(&inventory.ports)?,
        ],
    )?;
    Ok(())
}

/// A host's latest inventory and when it came.
///
/// # Errors
/// When the database fails.
pub fn of(read: &Read<'_>, host: HostId) -> Result<Option<(Inventory, Timestamp)>, AppError> {
    Ok(read
        .sql()
        .query_row("SELECT * FROM inventories WHERE host_id = ?1", [host.to_string()], |row| {
            let inventory = Inventory {
                facts: codec::json(row, "facts")?,
                tenants: codec::json(row, "tenants")?,
                ports: codec::json(row, "ports")?,
            };
            Ok((inventory, codec::time(row, "received_at")?))
        })
        .optional()?)
}
