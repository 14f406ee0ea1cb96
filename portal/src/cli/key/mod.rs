//! `freehold key`: what signs jobs and leases.

mod rotate;
mod show;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Show and rotate the portal's keys
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Rotate(rotate::Args),
    Show(show::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Rotate(args) => rotate::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
    }
}
