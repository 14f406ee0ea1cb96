//! `freehold host update`.

use freehold_protocol::ids::HostName;

use super::view;
use crate::{
    api::{
        hosts::{HostView, UpdateHost},
        paths,
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Pair, changes, pair},
    },
    exit::Exit,
};

/// Change a host's labels or tenant limit
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold host update web-1 --label region=eu --remove-label old
  freehold host update web-1 --no-tenant-limit")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Args {
    /// The host
    name: HostName,
    /// A label to set, repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair, group = "change")]
    labels: Vec<Pair>,
    /// A label to take away, repeatable
    #[arg(long = "remove-label", value_name = "KEY", group = "change")]
    remove_labels: Vec<String>,
    /// Most tenants that it may carry
    #[arg(long, value_name = "N", group = "change", value_parser = clap::value_parser!(u32).range(1..))]
    tenant_limit: Option<u32>,
    /// Take the limit away
    #[arg(long, group = "change", conflicts_with = "tenant_limit")]
    no_tenant_limit: bool,
}

/// Reads the host's version, then changes exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = UpdateHost {
        labels: changes(&args.labels, &args.remove_labels, "label")?,
        tenant_limit: if args.no_tenant_limit { Some(0) } else { args.tenant_limit },
    };
    let client = ctx.client()?;
    let path = paths::host(&args.name);
    let before: HostView = client.get(&path, &Vec::new())?;
    let host: HostView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&host, |host| view::details(host, now))?;
    Ok(Exit::Ok)
}
