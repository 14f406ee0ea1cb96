//! `freehold host`: the servers that tenants run on.

mod add;
mod drain;
mod list;
mod ports;
mod probe;
mod remove;
mod resume;
mod revoke;
mod show;
mod token;
mod undrain;
mod update;
mod view;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add hosts and look after them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Drain(drain::Args),
    List(list::Args),
    Ports(ports::Args),
    Probe(probe::Args),
    Remove(remove::Args),
    Resume(resume::Args),
    Revoke(revoke::Args),
    Show(show::Args),
    Token(token::Args),
    Undrain(undrain::Args),
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::Drain(args) => drain::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Ports(args) => ports::run(args, ctx),
        Command::Probe(args) => probe::run(args, ctx),
        Command::Remove(args) => remove::run(args, ctx),
        Command::Resume(args) => resume::run(args, ctx),
        Command::Revoke(args) => revoke::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Token(args) => token::run(args, ctx),
        Command::Undrain(args) => undrain::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}
