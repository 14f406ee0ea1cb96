//! `freehold license list`.

use freehold_protocol::ids::BlueprintName;

use super::view;
use crate::{
    api::{licenses::LicenseView, paths},
    cli::{context::Ctx, customer, error::CliError},
    exit::Exit,
};

/// List licenses with their status and end
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license list
  freehold license list --customer acme --status suspended")]
pub(crate) struct Args {
    /// Only those of a customer, by identifier or organization id
    #[arg(long)]
    customer: Option<String>,
    /// Only those of a plan
    #[arg(long)]
    plan: Option<BlueprintName>,
    /// Only those with a status, such as active, suspended or expired
    #[arg(long)]
    status: Option<String>,
    /// Most licenses to list
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
    query.extend(args.plan.as_ref().map(|plan| ("plan", plan.to_string())));
    query.extend(args.status.as_ref().map(|status| ("status", status.clone())));
    let licenses: Vec<LicenseView> = client.list(paths::LICENSES, &query, args.limit)?;
    let now = ctx.now();
    ctx.entries(&licenses, "there is no such license", |licenses| view::table(licenses, now))?;
    Ok(Exit::Ok)
}
