//! `freehold tenant key add`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{paths, tenant_keys::TenantKeyCreated},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Make an API key for a tenant's app, shown once
///
/// Put it where the app reads it, for example into a setting of the tenant.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant key add acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
}

/// Makes and prints it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::tenant_keys(&args.slug);
    let created: TenantKeyCreated = ctx.client()?.post(&path, None::<&()>)?;
    super::show(&created, "", ctx)
}
