//! `freehold job resume`.

use super::find::{IdPart, find, id_part};
use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Tell the host to try the undo of a stuck job again
///
/// Look at the host first: `freehold job show ID` says what could not be undone, and where.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold job resume 3f9a2c41d7e0")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    let job: JobView = client.post(&paths::job_resume(id), None::<&()>)?;
    ctx.show(&job, |job| {
        format!(
            "{} will try the undo again; `freehold job show {id}` shows how it went\n",
            job.host
        )
    })?;
    Ok(Exit::Ok)
}
