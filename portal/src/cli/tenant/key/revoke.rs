//! `freehold tenant key revoke`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{paths, tenant_keys::TenantKeyView},
    cli::{confirm::Confirm, context::Ctx, error::CliError},
    domain::ids::TenantKeyId,
    exit::Exit,
};

/// Revoke an API key of a tenant's app for good
///
/// A key that the app got with a deploy is asked about first: the app is refused until another deploy brings it a
/// new one. `freehold tenant key rotate` replaces a key without a break.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant key revoke acme 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21
  freehold tenant key revoke acme 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --confirm acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// The key's identifier, as `freehold tenant key list` shows it
    key: TenantKeyId,
    /// The tenant once more, when its app has this key
    #[arg(long, value_name = "SLUG")]
    confirm: Option<String>,
}

/// Revokes it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let keys: Vec<TenantKeyView> =
        ctx.client()?.list(&paths::tenant_keys(&args.slug), &Vec::new(), None)?;
    let in_use = keys.iter().any(|key| {
        key.id == args.key && key.delivery.is_some() && matches!(&*key.state, "valid" | "replaced")
    });
    let slug = args.slug.as_str();
    if in_use {
        Confirm {
            name: slug,
            given: args.confirm.as_deref(),
            option: "--confirm",
            warning: format!(
                "The app of {slug} was given this key by a deploy: with it, it is refused from now on, until `freehold tenant deploy {slug}` brings it another."
            ),
            act: format!("revoking the key that the app of {slug} was given"),
        }
        .ask(ctx)?;
    }
    ctx.client()?.delete(&paths::tenant_key(&args.slug, args.key), None)?;
    let document = serde_json::json!({ "revoked": args.key });
    ctx.show(&document, |_| {
        let next = if in_use {
            format!("Bring the app another with `freehold tenant deploy {slug}`\n")
        } else {
            String::new()
        };
        format!("Revoked key {}\n{next}", args.key)
    })?;
    Ok(Exit::Ok)
}
