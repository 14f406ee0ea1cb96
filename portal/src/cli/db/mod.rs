//! `freehold db`: the portal's database, on the portal's own machine.

mod backup;
mod check;
mod owner_token;
mod restore;

use super::{
    context::Ctx,
    error::{CliError, causes_of},
};
use crate::{db::backup::BackupError, exit::Exit};

/// Back up, check and restore the portal's database, on the portal's machine
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Backup(backup::Args),
    Check(check::Args),
    OwnerToken(owner_token::Args),
    Restore(restore::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Backup(args) => backup::run(args, ctx),
        Command::Check(args) => check::run(args, ctx),
        Command::OwnerToken(args) => owner_token::run(args, ctx),
        Command::Restore(args) => restore::run(args, ctx),
    }
}

/// What a person is told.
fn shown(error: &BackupError) -> CliError {
    let mut shown = CliError::new(Exit::Failed, error.to_string());
    shown.causes = causes_of(error);
    match error {
        BackupError::InUse(_) => shown.hint("stop the portal first"),
        BackupError::Exists { .. } => shown.hint("name another file, or move that one away"),
        _ => shown,
    }
}
