//! `freehold tenant remove`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{jobs::JobView, paths, tenants::RemoveTenant},
    cli::{confirm::Confirm, context::Ctx, error::CliError, watch},
    exit::Exit,
};

/// Queue the removal of a tenant from its host
///
/// Say what happens to its volumes and secrets: there is no default. Deleting them cannot be
/// undone, so the tenant's short name has to be typed, or given with --yes-delete.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant remove acme --keep-data --watch
  freehold tenant remove acme --delete-data --yes-delete acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// Leave its volumes and secrets on the host
    #[arg(long, conflicts_with = "delete_data")]
    keep_data: bool,
    /// Delete its volumes and secrets for good
    #[arg(long)]
    delete_data: bool,
    /// The tenant's short name once more, in place of typing it
    #[arg(long, value_name = "SLUG", requires = "delete_data")]
    yes_delete: Option<String>,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

/// Asks, then queues it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let body = match (args.keep_data, args.delete_data) {
        (true, _) => RemoveTenant { data: "keep".into(), confirm: None },
        (false, true) => {
            Confirm {
                name: args.slug.as_str(),
                given: args.yes_delete.as_deref(),
                option: "--yes-delete",
                warning: format!("This deletes all volumes and secrets of {} for good.", args.slug),
                act: format!("deleting the data of {}", args.slug),
            }
            .ask(ctx)?;
            RemoveTenant { data: "delete".into(), confirm: Some(args.slug.to_string()) }
        }
        (false, false) => {
            return Err(CliError::new(
                Exit::Unconfirmed,
                format!("say what happens to the data of {}", args.slug),
            )
            .hint("--keep-data leaves volumes and secrets on the host; --delete-data deletes them for good"));
        }
    };
    let job: JobView = client.post(&paths::tenant_remove(&args.slug), Some(&body))?;
    watch::queued(&args.watch, client, &job, ctx)
}
