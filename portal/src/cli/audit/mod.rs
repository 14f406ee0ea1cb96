//! `freehold audit`: who did what.

mod export;
mod list;
mod log;
mod verify;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Read, export and check the audit log
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Export(export::Args),
    List(list::Args),
    Verify(verify::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Export(args) => export::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Verify(args) => verify::run(args, ctx),
    }
}
