//! `reserve-ports`: a loopback port for each role, in the journal before anything uses it.

use std::collections::{BTreeMap, BTreeSet};

use freehold_protocol::blueprint::names::RoleName;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{Port, PortRange};

use super::{deploy, ended, journal};
use crate::host::{docker, sockets};
use crate::journal::ports::ReserveError;
use crate::runner::Commands;
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

#[derive(Debug)]
pub(super) struct ReservePorts;

impl Action for ReservePorts {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        // The journal's own rows say what this saga reserved and what was there before.
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let reserved =
            context.with_commands(|commands| reserve(context, commands, &BTreeSet::new()));
        ended(reserved.map(|()| StepOutput::Nothing))
    }

    fn undo(&self, context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        let tenant = deploy(context)?.tenant;
        context.journal.unreserve_ports(context.saga, tenant).map_err(journal)
    }
}

/// Reserves a port for every role. Those to avoid are given up even when the tenant holds them.
pub(super) fn reserve(
    context: &Context<'_>,
    commands: &Commands<'_>,
    avoid: &BTreeSet<Port>,
) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let wanted = ranges(context)?;
    // From the look to the journal row nobody else may choose.
    let _lock = context.ports_lock()?;
    // What the tenant holds it keeps, whoever listens on it; only a new port needs to be free.
    let held = context.journal.tenant_ports(deploy.tenant).map_err(journal)?;
    let needs_new = wanted.iter().any(|(role, range)| {
        held.get(role).is_none_or(|port| !range.contains(*port) || avoid.contains(port))
    });
    let taken = if needs_new { taken(commands)? } else { BTreeSet::new() };
    let reserved = context
        .journal
        .reserve_ports(context.saga, deploy.tenant, &wanted, &taken, avoid)
        .map_err(|error| match error {
            ReserveError::Exhausted { ref role, .. } => Failure::new(
                FailureClass::Host,
                error.to_string(),
                format!(
                    "widen the range with `ports.{role}` in /etc/freehold/agent.toml, or move a tenant to another host"
                ),
            ),
            ReserveError::Journal(error) => journal(error),
        })?;
    let list: Vec<_> = reserved.iter().map(|(role, port)| format!("{role} {port}")).collect();
    (context.say)(&format!("ports: {}", list.join(", ")));
    Ok(())
}

/// The ports that something on this host listens on, or that the engine has promised.
fn taken(commands: &Commands<'_>) -> Result<BTreeSet<Port>, Failure> {
    let mut taken: BTreeSet<u16> = sockets::listening().map_err(|error| {
        Failure::new(
            FailureClass::Host,
            "the table of listening sockets cannot be read",
            "check that /proc is mounted and that the executor may read /proc/net/tcp",
        )
        .with_detail(error.to_string())
    })?;
    taken.extend(docker::allocated_ports(commands)?.keys());
    Ok(taken.into_iter().filter_map(|port| Port::try_from(port).ok()).collect())
}

/// Where to look for each role's port: the host's own range, else the blueprint's.
fn ranges(context: &Context<'_>) -> Result<BTreeMap<RoleName, PortRange>, Failure> {
    let blueprint = &deploy(context)?.blueprint;
    blueprint
        .freehold
        .ports
        .keys()
        .map(|role| {
            let own = context.config().ports.get(role).copied();
            let range = own.or_else(|| blueprint.range_of(role)).ok_or_else(|| {
                Failure::new(
                    FailureClass::Request,
                    format!("the role {role} has no range of ports"),
                    "give it a `range` in the blueprint",
                )
            })?;
            Ok((role.clone(), range))
        })
        .collect()
}
