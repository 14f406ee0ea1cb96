//! `freehold tenant update`.

use freehold_protocol::ids::TenantSlug;

use super::{add::certificate, view};
use crate::{
    api::{
        paths,
        tenants::{Certificate, TenantView, UpdateTenant},
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Pair, changes, pair},
    },
    exit::Exit,
};

/// Change what a tenant is meant to be; the next deployment brings it about
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant update acme --set THEME=light --unset BANNER
  freehold tenant update acme --release 4 && freehold tenant deploy acme --watch")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// The new name
    #[arg(long, group = "change")]
    name: Option<String>,
    /// The new public address
    #[arg(long, group = "change")]
    domain: Option<String>,
    /// The number of the release that the next deployment brings
    #[arg(long, value_name = "N", group = "change")]
    release: Option<u32>,
    /// A setting to change, repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair, group = "change")]
    settings: Vec<Pair>,
    /// A setting to take back to its default, repeatable
    #[arg(long, value_name = "KEY", group = "change")]
    unset: Vec<String>,
    /// Where its certificate comes from: `acme` or `installed:NAME`
    #[arg(long, value_name = "SOURCE", value_parser = certificate, group = "change")]
    certificate: Option<Certificate>,
    /// The identifier of the license that it runs under, or `none`; seen by its app at once
    #[arg(long, value_name = "ID", group = "change")]
    license: Option<String>,
}

/// Reads the tenant's version, then changes exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = UpdateTenant {
        name: args.name.clone(),
        domain: args.domain.clone(),
        release: args.release,
        settings: changes(&args.settings, &args.unset, "setting")?,
        certificate: args.certificate.clone(),
        license: args.license.as_ref().map(|id| (id != "none").then(|| id.clone())),
    };
    let client = ctx.client()?;
    let path = paths::tenant(&args.slug);
    let before: TenantView = client.get(&path, &Vec::new())?;
    let tenant: TenantView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&tenant, |tenant| {
        let slug = &tenant.slug;
        let next = format!("`freehold tenant deploy {slug}` brings it to its host\n");
        format!("{}\n{next}", view::details(tenant, now))
    })?;
    Ok(Exit::Ok)
}
