//! `freehold host remove`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Remove a host that carries no tenant
///
/// Its agent's keys are refused from then on. Nothing on the host itself changes: run
/// `freehold-agent unenroll` there.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host remove web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
}

/// Removes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let path = paths::host(&args.name);
    let host: HostView = client.get(&path, &Vec::new())?;
    client.delete(&path, Some(host.generation))?;
    let document = serde_json::json!({ "removed": args.name });
    ctx.show(&document, |_| format!("Removed host {}\n", args.name))?;
    Ok(Exit::Ok)
}
