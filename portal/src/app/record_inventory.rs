//! An agent tells what its host is and holds.

use freehold_protocol::{ids::AgentId, wire::Inventory};

use super::tenant_disk;
use crate::{
    db::{Tx, agents, deployments, hosts, inventory},
    error::AppError,
};

/// Most tenants of one host.
const MAX_TENANTS: usize = 2000;
/// Most reserved ports of one host.
const MAX_PORTS: usize = 20_000;

/// An agent sends its inventory.
#[derive(Debug)]
pub struct RecordInventory {
    /// The agent, as its signature proved.
    pub agent: AgentId,
    /// What it says.
    pub inventory: Inventory,
}

impl RecordInventory {
    /// Keeps it as the host's latest and notes the health of the tenants that belong there, and what
    /// they have on the disk. A tenant that is missing from it changes nothing: absence is never a
    /// statement.
    ///
    /// # Errors
    /// When it is too long.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let Self { agent, inventory } = self;
        if inventory.tenants.len() > MAX_TENANTS || inventory.ports.len() > MAX_PORTS {
            return Err(AppError::invalid(
                "/tenants",
                format!("use at most {MAX_TENANTS} tenants and {MAX_PORTS} ports"),
            ));
        }
        let host = hosts::get(tx, agents::get(tx, agent)?.host_id)?;
        inventory::put(tx, host.id, agent, &inventory)?;
        for health in &inventory.tenants {
            deployments::note_health(tx, host.id, health)?;
        }
        tenant_disk::note(tx, &host, &inventory.tenants)
    }
}
