//! `freehold host resume`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Resume a host that is in conflict
///
/// After the portal was restored from a backup, an agent may have jobs that the portal does not know. Look
/// at what is on the host first: its chain of jobs then goes on after the last one that it has.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host resume web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let host: HostView = ctx.client()?.post(&paths::host_resume(&args.name), None::<&()>)?;
    ctx.show(&host, |host| format!("Host {} is resumed\n", host.name))?;
    Ok(Exit::Ok)
}
