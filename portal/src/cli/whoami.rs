//! `freehold whoami`.

use super::{
    context::Ctx,
    error::CliError,
    output::{Fields, moment},
};
use crate::{
    api::{paths, tokens::Me},
    exit::Exit,
};

/// Show who the token is and what it may do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Asks the portal.
pub(crate) fn run(_args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let me: Me = client.get(paths::ME, &Vec::new())?;
    let now = ctx.now();
    ctx.show(&me, |me| {
        Fields::new()
            .add("portal", client.address())
            .add("actor", &me.actor)
            .add("token", format!("{} ({})", me.token.name, me.token.hint))
            .add("role", &me.token.role)
            .add("created", moment(me.token.created_at, now))
            .add_some("expires", me.token.expires_at.map(|at| moment(at, now)))
            .render()
    })?;
    Ok(Exit::Ok)
}
