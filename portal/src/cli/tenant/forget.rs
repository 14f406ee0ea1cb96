//! `freehold tenant forget`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{paths, tenants::TenantView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Take a tenant that is on no host off the portal's list
///
/// Nothing on a host changes: a tenant that is deployed has to be removed first, unless its host was
/// given up with `freehold host revoke`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant forget acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
}

/// Deletes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let path = paths::tenant(&args.slug);
    let tenant: TenantView = client.get(&path, &Vec::new())?;
    client.delete(&path, Some(tenant.generation)).map_err(|error| {
        let shown = CliError::from(error);
        if shown.exit == Exit::Conflict && shown.hints.is_empty() {
            let slug = &args.slug;
            return shown.hint(format!("remove it from its host: `freehold tenant remove {slug}`"));
        }
        shown
    })?;
    let document = serde_json::json!({ "forgotten": args.slug });
    ctx.show(&document, |_| format!("The portal has forgotten tenant {}\n", args.slug))?;
    Ok(Exit::Ok)
}
