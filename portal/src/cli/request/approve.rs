//! `freehold request approve`.

use freehold_protocol::ids::ProvisionRequestId;

use crate::{
    api::{
        paths,
        requests::{ApproveRequest, RequestView},
    },
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Approve a request of somebody else: its tenant is added, and its deployment queued
///
/// Look at it first with `freehold request show`. What is deployed is exactly what the request shows: its job carries the
/// digest, and the host's agent refuses anything else.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request approve 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --watch
  freehold request approve 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --despite-capacity \\
      --comment 'more memory is ordered'")]
pub(crate) struct Args {
    /// The request's identifier
    request: ProvisionRequestId,
    /// What there is to say to it
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Approve it although its host falls short, or has never reported what it has
    #[arg(long)]
    despite_capacity: bool,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Reads the request's version, then approves exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let before: RequestView = client.get(&paths::request(args.request), &Vec::new())?;
    let body = ApproveRequest {
        comment: args.comment.clone().unwrap_or_default(),
        despite_capacity: args.despite_capacity,
    };
    let path = paths::request_do(args.request, "approve");
    let request: RequestView = client.post_version(&path, before.generation, &body)?;
    super::queued(&args.watch, client, &request, ctx)
}
