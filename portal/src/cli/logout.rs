//! `freehold logout`.

use std::path::Path;

use serde_json::Value;

use super::{
    context::Ctx,
    error::CliError,
    remote::{Client, Session, StoreLock, UserTokens, forget, session_path},
};
use crate::{
    api::{paths, users::RefreshToken},
    exit::Exit,
};

/// Forget the stored login, and end a user's session at the portal
///
/// An API token stays valid: `freehold token revoke` ends it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold logout
  freehold logout --local")]
pub(crate) struct Args {
    /// Forget it here alone, for a portal that cannot be reached; a session then ends by itself
    #[arg(long)]
    local: bool,
}

/// Ends the session and removes the file; without one there is nothing to do.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let file = session_path()?;
    let was_there = file.exists() && leave(&file, args)?;
    if ctx.json {
        ctx.document(&serde_json::json!({ "loggedOut": was_there }))?;
    } else if was_there {
        ctx.line(format_args!("Removed {}", file.display()))?;
    } else {
        ctx.note("nobody was logged in");
    }
    Ok(Exit::Ok)
}

fn leave(file: &Path, args: &Args) -> Result<bool, CliError> {
    let _lock = StoreLock::take(file)?;
    if !args.local
        && let Some(mut session) = Session::load(file)?
        && let Some(user) = session.user.take()
    {
        end(&session, &user)?;
    }
    Ok(forget(file)?)
}

/// Ends the session of a user at the portal; one that is over already is no error.
///
/// # Errors
/// When the portal cannot be told.
pub(super) fn end(session: &Session, user: &UserTokens) -> Result<(), CliError> {
    let body = RefreshToken { refresh_token: user.refresh.expose().to_owned() };
    let ended: Result<Value, _> = Client::new(session)?.prove(paths::LOGOUT, &body);
    match ended {
        Ok(_) => Ok(()),
        // The portal no longer knows the session.
        Err(error) if error.code() == "refresh_unknown" => Ok(()),
        Err(error) => {
            Err(CliError::from(error).hint("`freehold logout --local` forgets it here alone"))
        }
    }
}
