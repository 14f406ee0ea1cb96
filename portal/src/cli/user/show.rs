//! `freehold user show`.

use super::{find::find, view};
use crate::{
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one user
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user show anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let user = find(&ctx.client()?, &args.user)?;
    let now = ctx.now();
    ctx.show(&user, |user| view::details(user, now))?;
    Ok(Exit::Ok)
}
