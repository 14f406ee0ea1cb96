//! `freehold host undrain`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Give a drained host jobs again
///
/// Jobs that were queued meanwhile are sent.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host undrain web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let host: HostView = ctx.client()?.post(&paths::host_undrain(&args.name), None::<&()>)?;
    ctx.show(&host, |host| format!("Host {} gets jobs again\n", host.name))?;
    Ok(Exit::Ok)
}
