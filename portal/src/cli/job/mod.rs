//! `freehold job`: pieces of host work.

mod cancel;
mod delete;
pub(crate) mod find;
mod list;
mod resume;
mod retry;
mod show;
pub(crate) mod view;
mod watch;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Follow the work of the hosts
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Cancel(cancel::Args),
    Delete(delete::Args),
    List(list::Args),
    Resume(resume::Args),
    Retry(retry::Args),
    Show(show::Args),
    Watch(watch::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Cancel(args) => cancel::run(args, ctx),
        Command::Delete(args) => delete::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Resume(args) => resume::run(args, ctx),
        Command::Retry(args) => retry::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Watch(args) => watch::run(args, ctx),
    }
}
