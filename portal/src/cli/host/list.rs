//! `freehold host list`.

use super::view;
use crate::{
    api::{hosts::HostView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List the hosts with their state, agent and tenants
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold host list
  freehold host list --json | jq -r '.[] | select(.presence == \"offline\") | .name'")]
pub(crate) struct Args {
    /// Most hosts to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let hosts: Vec<HostView> = ctx.client()?.list(paths::HOSTS, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&hosts, "there is no host yet: `freehold host add NAME`", |hosts| {
        view::table(hosts, now)
    })?;
    Ok(Exit::Ok)
}
