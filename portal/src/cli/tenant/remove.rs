//! `freehold tenant remove`.

use std::io::{self, BufRead, Read};

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{jobs::JobView, paths, tenants::RemoveTenant},
    cli::{context::Ctx, error::CliError, watch},
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
            confirm(args, ctx)?;
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

fn confirm(args: &Args, ctx: &mut Ctx) -> Result<(), CliError> {
    let slug = &args.slug;
    let given = match &args.yes_delete {
        Some(given) => given.clone(),
        None if ctx.terminal.ask => {
            ctx.note(format_args!(
                "This deletes all volumes and secrets of {slug} for good. Type {slug} to go on:"
            ));
            let mut line = String::new();
            io::stdin().lock().take(1024).read_line(&mut line).map_err(|error| {
                CliError::new(Exit::Failed, "the answer cannot be read").because(&error)
            })?;
            line.trim().to_owned()
        }
        None => {
            return Err(CliError::new(
                Exit::Unconfirmed,
                format!("deleting the data of {slug} is not confirmed"),
            )
            .hint(format!("without a terminal, confirm with --yes-delete {slug}")));
        }
    };
    if given == slug.as_str() {
        return Ok(());
    }
    Err(CliError::new(
        Exit::Unconfirmed,
        format!("\"{}\" is not {slug}: nothing was removed", given.escape_debug()),
    ))
}
