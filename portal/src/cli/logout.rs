//! `freehold logout`.

use std::{fs, io};

use super::{
    context::Ctx,
    error::CliError,
    remote::{StoreError, session_path},
};
use crate::exit::Exit;

/// Forget the stored portal and token
///
/// The token stays valid: `freehold token revoke` ends it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Removes the file; without one there is nothing to do.
pub(crate) fn run(_args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let file = session_path()?;
    let was_there = match fs::remove_file(&file) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(StoreError::Write { file, source }.into()),
    };
    if ctx.json {
        ctx.document(&serde_json::json!({ "loggedOut": was_there }))?;
    } else if was_there {
        ctx.line(format_args!("Removed {}", file.display()))?;
    } else {
        ctx.note("nobody was logged in");
    }
    Ok(Exit::Ok)
}
