//! `freehold request show`.

use freehold_protocol::ids::ProvisionRequestId;

use crate::{
    api::{paths, requests::RequestView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one request: what is wanted and why, and what it would leave of its host
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request show 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The request's identifier
    request: ProvisionRequestId,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let request: RequestView = ctx.client()?.get(&paths::request(args.request), &Vec::new())?;
    super::decided(&request, ctx)
}
