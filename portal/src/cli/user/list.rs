//! `freehold user list`.

use super::view;
use crate::{
    api::{paths, users::UserView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List users
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user list")]
pub(crate) struct Args {
    /// Most users to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let users: Vec<UserView> = ctx.client()?.list(paths::USERS, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&users, "there is no user", |users| view::table(users, now))?;
    Ok(Exit::Ok)
}
