//! `freehold job list`.

use freehold_protocol::{
    ids::{HostName, TenantSlug},
    job::JobKind,
};

use super::view;
use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List jobs, the newest first
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold job list
  freehold job list --state failed --host web-1
  freehold job list --tenant acme --limit 20")]
pub(crate) struct Args {
    /// Only those in a state: queued, leased, running, succeeded, failed, rolled_back, stuck
    /// (rollback_failed), cancelled, expired or dead
    #[arg(long)]
    state: Option<String>,
    /// Only those of a host
    #[arg(long)]
    host: Option<HostName>,
    /// Only those of a tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// Only those of a kind: deploy_tenant, remove_tenant, check_tenant or probe_host
    #[arg(long)]
    kind: Option<JobKind>,
    /// Most jobs to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut query = Vec::new();
    let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
    let state = args.state.as_deref();
    add(
        "state",
        state.map(|state| if state == "stuck" { "rollback_failed" } else { state }.into()),
    );
    add("host", args.host.as_ref().map(ToString::to_string));
    add("tenant", args.tenant.as_ref().map(ToString::to_string));
    add("kind", args.kind.map(|kind| kind.to_string()));
    let jobs: Vec<JobView> = ctx.client()?.list(paths::JOBS, &query, args.limit)?;
    let now = ctx.now();
    ctx.entries(&jobs, "there is no such job", |jobs| view::table(jobs, now))?;
    Ok(Exit::Ok)
}
