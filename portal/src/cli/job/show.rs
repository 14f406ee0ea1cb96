//! `freehold job show`.

use super::{
    find::{IdPart, find, id_part},
    view,
};
use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Show one job: its steps, attempts, failure and result
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold job show 3f9a2c41d7e0
  freehold job show 3f9a2c41d7e0 --watch")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
    /// Follow it until it ends; the exit code tells how
    #[arg(long)]
    watch: bool,
}

/// Shows or follows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    if args.watch {
        return watch::follow(client, id, ctx);
    }
    let job: JobView = client.get(&paths::job(id), &Vec::new())?;
    let (now, paint) = (ctx.now(), ctx.paint);
    ctx.show(&job, |job| view::details(job, now, paint))?;
    Ok(Exit::Ok)
}
