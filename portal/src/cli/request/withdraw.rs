//! `freehold request withdraw`.

use freehold_protocol::ids::ProvisionRequestId;

use crate::{
    api::{paths, requests::RequestView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Take a request back that nobody has decided on
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request withdraw 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The request's identifier
    request: ProvisionRequestId,
}

/// Takes it back.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::request_do(args.request, "withdraw");
    let request: RequestView = ctx.client()?.post(&path, None::<&()>)?;
    super::decided(&request, ctx)
}
