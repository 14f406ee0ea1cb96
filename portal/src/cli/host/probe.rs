//! `freehold host probe`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue a job that reports a host's facts and whether it is fit to deploy on
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold host probe web-1 --watch")]
pub(crate) struct Args {
    /// The host
    name: HostName,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let job: JobView = client.post(&paths::host_probe(&args.name), None::<&()>)?;
    watch::queued(&args.watch, client, &job, ctx)
}
