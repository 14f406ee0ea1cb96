//! `freehold user`: who logs in with a password.

mod add;
mod disable;
mod enable;
mod end_session;
mod find;
mod list;
mod remove;
mod rename;
mod reset_password;
mod sessions;
mod settings;
mod show;
mod update;
mod view;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Add users, change what they may do, and take it from them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Disable(disable::Args),
    Enable(enable::Args),
    EndSession(end_session::Args),
    List(list::Args),
    Remove(remove::Args),
    Rename(rename::Args),
    ResetPassword(reset_password::Args),
    Sessions(sessions::Args),
    Settings(settings::Args),
    Show(show::Args),
    #[command(visible_alias = "set")]
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::Disable(args) => disable::run(args, ctx),
        Command::Enable(args) => enable::run(args, ctx),
        Command::EndSession(args) => end_session::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Remove(args) => remove::run(args, ctx),
        Command::Rename(args) => rename::run(args, ctx),
        Command::ResetPassword(args) => reset_password::run(args, ctx),
        Command::Sessions(args) => sessions::run(args, ctx),
        Command::Settings(args) => settings::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}
