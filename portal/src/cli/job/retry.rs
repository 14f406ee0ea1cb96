//! `freehold job retry`.

use super::find::{IdPart, find, id_part};
use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue a job again that has failed, expired, was cancelled or is dead
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold job retry 3f9a2c41d7e0 --watch")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    let job: JobView = client.post(&paths::job_retry(id), None::<&()>)?;
    watch::queued(&args.watch, client, &job, ctx)
}
