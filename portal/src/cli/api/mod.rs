//! `freehold api`: the API itself.

mod openapi;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Describe the API
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Openapi(openapi::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Openapi(args) => openapi::run(args, ctx),
    }
}
