//! `freehold job watch`.

use super::find::{IdPart, find, id_part};
use crate::{
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Follow a job until it ends
///
/// On a terminal the steps are drawn anew as they go on; in a pipe each event is a line, and with
/// --json each event is a JSON document on a line, the job itself being the last one. The exit code
/// tells how the job ended. Ctrl-C ends the watching only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold job watch 3f9a2c41d7e0
  freehold job watch 3f9a2c41d7e0 --json | jq -r 'select(.event) | .event.step'")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
}

/// Follows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    watch::follow(client, id, ctx)
}
