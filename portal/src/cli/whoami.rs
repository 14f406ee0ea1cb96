//! `freehold whoami`.

use super::{
    context::Ctx,
    error::CliError,
    output::{Fields, moment},
};
use crate::{
    api::{paths, users::Me},
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
            .add("role", &me.role)
            .add_some("limited to", me.tenant.as_ref())
            .add_some("token", me.token.as_ref().map(|t| format!("{} ({})", t.name, t.hint)))
            .add_some("created", me.token.as_ref().map(|t| moment(t.created_at, now)))
            .add_some(
                "expires",
                me.token.as_ref().and_then(|t| t.expires_at).map(|at| moment(at, now)),
            )
            .add_some("user", me.user.as_ref().map(|u| format!("{} ({})", u.name, u.login)))
            .add_some("session", me.session.as_ref().map(|s| s.id))
            .add_some("opened", me.session.as_ref().map(|s| moment(s.created_at, now)))
            .add_some("ends", me.session.as_ref().map(|s| moment(s.expires_at, now)))
            .render()
    })?;
    Ok(Exit::Ok)
}
