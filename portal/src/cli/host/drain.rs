//! `freehold host drain`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Give a host no new job
///
/// Jobs that it already has go on; its tenants keep running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host drain web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let host: HostView = ctx.client()?.post(&paths::host_drain(&args.name), None::<&()>)?;
    ctx.show(&host, |host| {
        format!("Host {} gets no new job; `freehold host undrain` ends that\n", host.name)
    })?;
    Ok(Exit::Ok)
}
