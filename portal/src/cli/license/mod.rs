//! `freehold license`: who may use what, and until when.

mod add;
mod list;
mod reinstate;
mod renew;
mod reveal;
mod revoke;
mod show;
mod suspend;
mod update;
mod view;

use super::{context::Ctx, error::CliError};
use crate::{
    api::{
        licenses::{Because, LicenseView},
        paths,
    },
    domain::ids::LicenseId,
    exit::Exit,
};

/// Add licenses, change, suspend, renew and revoke them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    List(list::Args),
    Reinstate(reinstate::Args),
    Renew(renew::Args),
    Reveal(reveal::Args),
    Revoke(revoke::Args),
    Show(show::Args),
    Suspend(suspend::Args),
    Update(update::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Reinstate(args) => reinstate::run(args, ctx),
        Command::Renew(args) => renew::run(args, ctx),
        Command::Reveal(args) => reveal::run(args, ctx),
        Command::Revoke(args) => revoke::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Suspend(args) => suspend::run(args, ctx),
        Command::Update(args) => update::run(args, ctx),
    }
}

/// Changes the status of a license and shows what became of it.
fn act(
    ctx: &mut Ctx,
    license: LicenseId,
    what: &str,
    because: Option<&Because>,
) -> Result<Exit, CliError> {
    let license: LicenseView = ctx.client()?.post(&paths::license_do(license, what), because)?;
    let now = ctx.now();
    ctx.show(&license, |license| view::details(license, now))?;
    Ok(Exit::Ok)
}
