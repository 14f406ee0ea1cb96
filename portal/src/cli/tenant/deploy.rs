//! `freehold tenant deploy`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{jobs::JobView, paths, tenants::DeployTenant},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue the deployment of a tenant: the first one, another release, or changed settings
///
/// If it fails, the host goes back to what ran before.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant deploy acme --watch
  freehold tenant deploy acme --release 4 --watch")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// The number of the release to bring; the wanted one when left out
    #[arg(long, value_name = "N")]
    release: Option<u32>,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let body = DeployTenant { release: args.release };
    let job: JobView = client.post(&paths::tenant_deploy(&args.slug), Some(&body))?;
    watch::queued(&args.watch, client, &job, ctx)
}
