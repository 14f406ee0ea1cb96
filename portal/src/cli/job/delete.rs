//! `freehold job delete`.

use super::find::{IdPart, find, id_part};
use crate::{
    api::paths,
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Delete a job that is at rest, with its events
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold job delete 3f9a2c41d7e0")]
pub(crate) struct Args {
    /// The job: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    id: IdPart,
}

/// Deletes it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = find(&client, &args.id)?;
    client.delete(&paths::job(id), None)?;
    let document = serde_json::json!({ "deleted": id });
    ctx.show(&document, |_| format!("Deleted job {id}\n"))?;
    Ok(Exit::Ok)
}
