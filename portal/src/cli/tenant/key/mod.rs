//! `freehold tenant key`: what a tenant's app proves itself with.

mod add;
mod list;
mod revoke;
mod rotate;

use crate::{
    api::tenant_keys::TenantKeyCreated,
    cli::{context::Ctx, error::CliError, output::clean},
    exit::Exit,
};

/// Add, list, rotate and revoke the API keys of a tenant's app
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    List(list::Args),
    Revoke(revoke::Args),
    Rotate(rotate::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Revoke(args) => revoke::run(args, ctx),
        Command::Rotate(args) => rotate::run(args, ctx),
    }
}

/// Prints a key that was just made.
fn show(created: &TenantKeyCreated, note: &str, ctx: &mut Ctx) -> Result<Exit, CliError> {
    if ctx.json {
        ctx.document(created)?;
        return Ok(Exit::Ok);
    }
    let id = created.key.id;
    match (&created.secret, created.job) {
        (Some(secret), _) => {
            ctx.note(format_args!("Key {id}{note}, shown this once:"));
            // Alone on standard output, so that it can be redirected into a file.
            ctx.line(clean(secret))?;
        }
        (None, Some(job)) => ctx.text(&format!(
            "Key {id}{note}: job {job} brings it to the app, and the old one stays good until then and for its grace period\nFollow it with `freehold job watch {job}`\n"
        ))?,
        (None, None) => ctx.text(&format!("Key {id}{note}\n"))?,
    }
    Ok(Exit::Ok)
}
