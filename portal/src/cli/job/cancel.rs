//! `freehold job cancel`.

use super::find::{IdPart, find, id_part};
use crate::{
    api::{
        jobs::{CancelJob, JobView},
        paths,
    },
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Cancel a job
///
/// A queued job is cancelled at once. A running one undoes what it has done, which takes its time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold job cancel 3f9a2c41d7e0 --reason 'wrong release' --watch")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
    /// Why, for those who look at the job later
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    let body = CancelJob { reason: args.reason.clone() };
    let job: JobView = client.post(&paths::job_cancel(id), Some(&body))?;
    if args.watch.watch {
        return watch::follow(client, id, ctx);
    }
    ctx.show(&job, |job| {
        if job.rested {
            format!("Job {id} is {}\n", job.state)
        } else {
            format!(
                "Job {id} is told to undo what it has done; `freehold job watch {id}` follows it\n"
            )
        }
    })?;
    Ok(Exit::Ok)
}
