//! `freehold tenant`: the separate copies of the product.

mod add;
mod check;
mod credentials;
mod deploy;
mod forget;
mod key;
mod list;
mod remove;
mod show;
mod update;
mod view;

pub(crate) use self::{add::certificate, view::health};

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add tenants, deploy, check and remove them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Check(check::Args),
    Credentials(credentials::Args),
    Deploy(deploy::Args),
    Forget(forget::Args),
    #[command(subcommand)]
    Key(key::Command),
    List(list::Args),
    Remove(remove::Args),
    Show(show::Args),
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::Check(args) => check::run(args, ctx),
        Command::Credentials(args) => credentials::run(args, ctx),
        Command::Deploy(args) => deploy::run(args, ctx),
        Command::Forget(args) => forget::run(args, ctx),
        Command::Key(command) => key::run(command, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Remove(args) => remove::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}
