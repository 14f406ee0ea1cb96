//! `freehold host show`.

use freehold_protocol::ids::HostName;

use super::view;
use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one host: its agent, capacity, tools and problems
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host show web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let host: HostView = ctx.client()?.get(&paths::host(&args.name), &Vec::new())?;
    let now = ctx.now();
    ctx.show(&host, |host| view::details(host, now))?;
    Ok(Exit::Ok)
}
