//! `freehold tenant check`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{jobs::JobView, paths},
    cli::{context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue a job that looks at a tenant and reports its health; it changes nothing
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant check acme --watch")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let job: JobView = client.post(&paths::tenant_check(&args.slug), None::<&()>)?;
    watch::queued(&args.watch, client, &job, ctx)
}
