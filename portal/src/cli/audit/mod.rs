//! `freehold audit`: who did what.

mod list;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Read the audit log
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::List(args) => list::run(args, ctx),
    }
}
