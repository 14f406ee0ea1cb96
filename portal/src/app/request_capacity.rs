//! How a host stands to a request.

use std::collections::HashSet;

use freehold_protocol::{
    blueprint::Blueprint, ids::TenantId, report::HostFacts, time::Timestamp, wire::Inventory,
};

use crate::{
    db::{
        Read, blueprints, deployments,
        hosts::{self, HostRow},
        inventory,
        requests::RequestRow,
        tenants,
    },
    domain::capacity::{Amounts, Balance, Promised, Reported},
    error::AppError,
};

const MIB_PER_GIB: u64 = 1024;

/// What a release wants of its host.
#[must_use]
pub fn wants(model: &Blueprint) -> Amounts {
    let wants = model.freehold.resources;
    Amounts {
        memory_mb: wants.memory_mb.into(),
        cpu_millis: wants.cpu_millis.into(),
        disk_gb: wants.disk_gb.into(),
    }
}

fn reported(facts: &HostFacts) -> Reported {
    Reported {
        total: Amounts {
            memory_mb: facts.memory_total_mib,
            cpu_millis: u64::from(facts.cpus) * 1000,
            disk_gb: facts.disk_total_mib / MIB_PER_GIB,
        },
        memory_free_mb: facts.memory_available_mib,
        disk_free_gb: facts.disk_available_mib / MIB_PER_GIB,
    }
}

/// A host and what a request would leave of it.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// The host.
    pub host: HostRow,
    /// Tenants that are on it or meant for it.
    pub tenants: u32,
    /// The balance, with the time of the agent's figures; none when it never has reported any.
    pub known: Option<(Balance, Timestamp)>,
}

impl Capacity {
    /// What falls short, or that nothing is known; empty when the host has enough.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        match &self.known {
            Some((balance, _)) => balance.lacks(),
            None => vec!["figures: its agent has never reported any".to_owned()],
        }
    }
}

/// Weighs a request against its host as it is now.
///
/// # Errors
/// When the host is gone or the database fails.
pub fn of(read: &Read<'_>, request: &RequestRow) -> Result<Capacity, AppError> {
    let host = hosts::get(read, request.host_id)?;
    let tenants = tenants::count_on_host(read, host.id)?;
    let known = match inventory::of(read, host.id)? {
        Some((inventory, at)) => {
            let promised = promised(read, &host, &inventory)?;
            Some((Balance::of(&reported(&inventory.facts), &promised, request.takes), at))
        }
        None => None,
    };
    Ok(Capacity { host, tenants, known })
}

fn promised(read: &Read<'_>, host: &HostRow, inventory: &Inventory) -> Result<Promised, AppError> {
    let shown: HashSet<TenantId> = inventory.tenants.iter().map(|tenant| tenant.tenant).collect();
    let mut promised = Promised::default();
    for of in deployments::occupants(read, host.id)? {
        let (_, model) = blueprints::content(read, &of.blueprint, of.release)?;
        let each = wants(&model);
        let hidden = of.tenants.iter().filter(|tenant| !shown.contains(tenant)).count();
        promised.all = promised.all.plus(of.tenants.len() as u64, each);
        promised.not_shown = promised.not_shown.plus(hidden as u64, each);
    }
    Ok(promised)
}
