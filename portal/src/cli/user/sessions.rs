//! `freehold user sessions`.

use super::{find::find, view};
use crate::{
    api::{Page, paths, users::SessionView},
    cli::{context::Ctx, error::CliError, remote::Client},
    domain::ids::UserId,
    exit::Exit,
};

/// List the open sessions of a user, the last used first
///
/// A session is what one login has begun. It counts as used when it is opened and whenever its client gets new
/// tokens, which a client that is at work does every quarter of an hour.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user sessions
  freehold user sessions anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier, for owners; the own sessions when left out
    user: Option<String>,
}

/// Lists them.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = args.user.as_deref().map(|user| find(&client, user)).transpose()?;
    let sessions = open(&client, user.map(|user| user.id))?;
    let now = ctx.now();
    ctx.entries(&sessions, "there is no open session", |sessions| view::sessions(sessions, now))?;
    Ok(Exit::Ok)
}

/// The open sessions of a user, or of whoever asks.
///
/// # Errors
/// When the portal refuses or does not answer.
pub(super) fn open(client: &Client, user: Option<UserId>) -> Result<Vec<SessionView>, CliError> {
    let path = user.map_or_else(|| paths::ME_SESSIONS.to_owned(), paths::user_sessions);
    let page: Page<SessionView> = client.get(&path, &Vec::new())?;
    Ok(page.items)
}
