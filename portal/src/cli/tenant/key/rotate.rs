//! `freehold tenant key rotate`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{
        paths,
        tenant_keys::{MAX_ROTATION_HOURS, RotateTenantKey, TenantKeyCreated},
    },
    cli::{context::Ctx, error::CliError},
    domain::ids::TenantKeyId,
    exit::Exit,
};

/// Replace an API key of a tenant's app; the old one stays good for a day
///
/// A key that the app got with a deploy is replaced by a job that brings the new one, with the release and settings
/// that run. The old one stays good until that is done, and for the grace period from then on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant key rotate acme 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21
  freehold tenant key rotate acme 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --grace-hours 0")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// The key's identifier, as `freehold tenant key list` shows it
    key: TenantKeyId,
    /// Hours for which the old key stays good; 24 when left out
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_ROTATION_HOURS)))]
    grace_hours: Option<u32>,
}

/// Replaces it and prints the new one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = RotateTenantKey { grace_hours: args.grace_hours };
    let path = paths::tenant_key_rotate(&args.slug, args.key);
    let created: TenantKeyCreated = ctx.client()?.post(&path, Some(&body))?;
    super::show(&created, &format!(" in place of {}", args.key), ctx)
}
