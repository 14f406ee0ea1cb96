//! `freehold host ports`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{hosts::HostPorts, paths},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, age},
    },
    exit::Exit,
};

/// List the ports that tenants hold on a host
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host ports web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Lists what the last inventory says.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let ports: HostPorts = ctx.client()?.get(&paths::host_ports(&args.name), &Vec::new())?;
    if ctx.json {
        ctx.document(&ports)?;
        return Ok(Exit::Ok);
    }
    match ports.received_at {
        None => ctx.note(format_args!("{} has sent no inventory yet", args.name)),
        Some(at) => {
            let now = ctx.now();
            ctx.note(format_args!("by the inventory of {} ago", age(at, now)));
        }
    }
    ctx.entries(&ports.ports, "no port is reserved", |ports| {
        let mut table = Table::new(["PORT", "ROLE", "TENANT"]);
        for port in ports {
            let tenant =
                port.slug.as_ref().map_or_else(|| port.tenant.to_string(), ToString::to_string);
            table.row([port.port.to_string(), port.role.clone(), tenant]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
