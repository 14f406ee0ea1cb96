//! `freehold db backup`.

use std::path::PathBuf;

use super::shown;
use crate::{
    cli::{context::Ctx, error::CliError, serve::ConfigArgs},
    db::backup::backup,
    exit::Exit,
};

/// Copy the database to a new file, while the portal may run, and check the copy
///
/// The key folder is not in it: without the keys a backup cannot be used. Back it up apart. Logs and usage
/// of tenants' apps are in a database of their own, which the portal does without: `--ingest` copies that one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold db backup /var/backups/freehold-$(date +%F).db
  freehold db backup --ingest /var/backups/freehold-ingest-$(date +%F).db")]
pub(crate) struct Args {
    /// The new file; one that exists is never overwritten
    file: PathBuf,
    /// Copy the database of logs and usage in place of the portal's
    #[arg(long)]
    ingest: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Copies.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let config = args.config.load()?;
    let database = if args.ingest { config.ingest_database() } else { config.database() };
    backup(&database, &args.file).map_err(|error| shown(&error))?;
    let document = serde_json::json!({ "backup": args.file });
    ctx.show(&document, |_| format!("Wrote {}\n", args.file.display()))?;
    Ok(Exit::Ok)
}
