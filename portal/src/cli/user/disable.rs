//! `freehold user disable`.

use super::{find::find, view};
use crate::{
    api::{paths, users::UserView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Keep a user from logging in, and end all its sessions
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user disable anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
}

/// Disables it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = find(&client, &args.user)?;
    let user: UserView = client.post(&paths::user_do(user.id, "disable"), None::<&()>)?;
    let now = ctx.now();
    ctx.show(&user, |user| view::details(user, now))?;
    Ok(Exit::Ok)
}
