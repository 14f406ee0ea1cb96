//! `freehold tenant show`.

use freehold_protocol::ids::TenantSlug;

use super::view;
use crate::{
    api::{paths, tenants::TenantView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one tenant: settings, addresses, ports and health
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant show acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let tenant: TenantView = ctx.client()?.get(&paths::tenant(&args.slug), &Vec::new())?;
    let now = ctx.now();
    ctx.show(&tenant, |tenant| view::details(tenant, now))?;
    Ok(Exit::Ok)
}
