//! `freehold blueprint`: Compose files that say what a tenant consists of.

mod lint;
mod list;
mod push;
mod render;
mod show;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Check blueprints and publish releases
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Lint(lint::Args),
    List(list::Args),
    Push(push::Args),
    Render(render::Args),
    Show(show::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Lint(args) => lint::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Push(args) => push::run(args, ctx),
        Command::Render(args) => render::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
    }
}
