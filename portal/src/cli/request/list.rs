//! `freehold request list`.

use freehold_protocol::ids::HostName;

use super::view;
use crate::{
    api::{paths, requests::RequestView},
    cli::{context::Ctx, customer, error::CliError},
    exit::Exit,
};

/// List requests, the newest first
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request list --status pending
  freehold request list --customer acme-org --limit 20")]
pub(crate) struct Args {
    /// Only those with a status: pending, approved, deployed, failed, rejected or withdrawn
    #[arg(long)]
    status: Option<String>,
    /// Only those of a customer, by identifier or organization id
    #[arg(long)]
    customer: Option<String>,
    /// Only those for a host
    #[arg(long)]
    host: Option<HostName>,
    /// Most requests to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let mut query = Vec::new();
    if let Some(text) = &args.customer {
        query.push(("customer", customer::find(&client, text)?.id.to_string()));
    }
    query.extend(args.status.as_ref().map(|status| ("status", status.clone())));
    query.extend(args.host.as_ref().map(|host| ("host", host.to_string())));
    let requests: Vec<RequestView> = client.list(paths::REQUESTS, &query, args.limit)?;
    let now = ctx.now();
    ctx.entries(&requests, "there is no such request", |requests| view::table(requests, now))?;
    Ok(Exit::Ok)
}
