//! `freehold customer`: who holds licenses.

mod add;
mod find;
mod list;
mod remove;
mod show;
mod update;
mod view;

pub(crate) use find::find;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add customers, change and remove them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    List(list::Args),
    Remove(remove::Args),
    Show(show::Args),
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Remove(args) => remove::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}
