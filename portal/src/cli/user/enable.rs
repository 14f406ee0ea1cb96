//! `freehold user enable`.

use super::{find::find, view};
use crate::{
    api::{paths, users::UserView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Let a disabled user log in again
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user enable anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
}

/// Enables it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = find(&client, &args.user)?;
    let user: UserView = client.post(&paths::user_do(user.id, "enable"), None::<&()>)?;
    let now = ctx.now();
    ctx.show(&user, |user| view::details(user, now))?;
    Ok(Exit::Ok)
}
