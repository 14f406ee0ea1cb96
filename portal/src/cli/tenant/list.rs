//! `freehold tenant list`.

use freehold_protocol::ids::{BlueprintName, HostName};

use super::view;
use crate::{
    api::{paths, tenants::TenantView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List tenants with their status, release and health
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant list
  freehold tenant list --host web-1 --status failed")]
pub(crate) struct Args {
    /// Only those of a host
    #[arg(long)]
    host: Option<HostName>,
    /// Only those of a blueprint
    #[arg(long)]
    blueprint: Option<BlueprintName>,
    /// Only those with a status, such as active, failed or removed
    #[arg(long)]
    status: Option<String>,
    /// Most tenants to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut query = Vec::new();
    let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
    add("host", args.host.as_ref().map(ToString::to_string));
    add("blueprint", args.blueprint.as_ref().map(ToString::to_string));
    add("status", args.status.clone());
    let tenants: Vec<TenantView> = ctx.client()?.list(paths::TENANTS, &query, args.limit)?;
    let now = ctx.now();
    ctx.entries(&tenants, "there is no such tenant", |tenants| view::table(tenants, now))?;
    Ok(Exit::Ok)
}
