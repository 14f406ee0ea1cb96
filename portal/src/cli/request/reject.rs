//! `freehold request reject`.

use freehold_protocol::ids::ProvisionRequestId;

use crate::{
    api::{
        paths,
        requests::{RejectRequest, RequestView},
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Turn a request down
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request reject 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --comment 'web-2 has more room'")]
pub(crate) struct Args {
    /// The request's identifier
    request: ProvisionRequestId,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: String,
}

/// Reads the request's version, then turns exactly that one down.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let before: RequestView = client.get(&paths::request(args.request), &Vec::new())?;
    let body = RejectRequest { comment: args.comment.clone() };
    let path = paths::request_do(args.request, "reject");
    let request: RequestView = client.post_version(&path, before.generation, &body)?;
    super::decided(&request, ctx)
}
