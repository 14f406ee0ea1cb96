//! `freehold tenant key revoke`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::paths,
    cli::{context::Ctx, error::CliError},
    domain::ids::TenantKeyId,
    exit::Exit,
};

/// Revoke an API key of a tenant's app for good
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant key revoke acme 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// The key's identifier, as `freehold tenant key list` shows it
    key: TenantKeyId,
}

/// Revokes it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    ctx.client()?.delete(&paths::tenant_key(&args.slug, args.key), None)?;
    let document = serde_json::json!({ "revoked": args.key });
    ctx.show(&document, |_| format!("Revoked key {}\n", args.key))?;
    Ok(Exit::Ok)
}
