//! `freehold plan`: what licenses entitle to.

mod add;
mod archive;
mod list;
mod remove;
mod show;
mod unarchive;
mod update;
mod view;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add plans, change and archive them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Archive(archive::Args),
    List(list::Args),
    Remove(remove::Args),
    Show(show::Args),
    Unarchive(unarchive::Args),
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::Archive(args) => archive::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Remove(args) => remove::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Unarchive(args) => unarchive::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}
