//! `freehold tenant credentials`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{paths, tenants::Credentials},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Fields, clean},
    },
    exit::Exit,
};

/// Show the temporary password of a tenant's first admin, once
///
/// The portal erases its copy with the answer.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant credentials acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
}

/// Shows and so erases them.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let found: Credentials =
        ctx.client()?.post(&paths::tenant_credentials(&args.slug), None::<&()>)?;
    ctx.show(&found, |found| {
        Fields::new()
            .add("address", clean(&found.url))
            .add_some("login", found.email.as_ref())
            .add("password", &found.password)
            .render()
    })?;
    ctx.note("The portal has erased its copy: keep it, or hand it on now.");
    Ok(Exit::Ok)
}
