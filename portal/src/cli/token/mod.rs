//! `freehold token`: what proves to the portal who asks.

mod add;
mod list;
mod revoke;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add, list and revoke API tokens
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    List(list::Args),
    Revoke(revoke::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Revoke(args) => revoke::run(args, ctx),
    }
}
