//! `freehold request retry`.

use freehold_protocol::ids::ProvisionRequestId;

use crate::{
    api::{paths, requests::RequestView},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue what was approved again, after its job has failed
///
/// It is exactly the same work, so that nobody has to approve it a second time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request retry 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --watch")]
pub(crate) struct Args {
    /// The request's identifier
    request: ProvisionRequestId,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let path = paths::request_do(args.request, "retry");
    let request: RequestView = client.post(&path, None::<&()>)?;
    super::queued(&args.watch, client, &request, ctx)
}
