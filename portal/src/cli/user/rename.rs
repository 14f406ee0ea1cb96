//! `freehold user rename`.

use super::{find::own, view};
use crate::{
    api::{
        paths,
        users::{Me, UpdateMe},
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Change your own name, as people write it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user rename \"Anna B.\"")]
pub(crate) struct Args {
    /// The new name
    name: String,
}

/// Changes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = own(&client)?;
    let body = UpdateMe { name: Some(args.name.clone()) };
    let me: Me = client.patch(paths::ME, user.generation, &body)?;
    let now = ctx.now();
    ctx.show(&me, |me| me.user.as_ref().map(|user| view::details(user, now)).unwrap_or_default())?;
    Ok(Exit::Ok)
}
