//! `freehold db restore`.

use std::path::PathBuf;

use super::shown;
use crate::{
    cli::{context::Ctx, error::CliError, serve::ConfigArgs},
    db::{backup::kind, ingest::INGEST, restore::restore},
    exit::Exit,
};

/// Put a backup in the place of the database; the portal must not run
///
/// The present database stays beside it under another name. A backup that was made with `--ingest` goes in
/// the place of the database of logs and usage, and nothing else changes. Hosts that have seen later jobs are
/// shown as `conflict` until `freehold host resume` (docs/operations.md).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold db restore /var/backups/freehold-2026-11-28.db")]
pub(crate) struct Args {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Restores.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let config = args.config.load()?;
    let is_ingest = kind(&args.file).map_err(|error| shown(&error))?.is(&INGEST);
    let database = if is_ingest { config.ingest_database() } else { config.database() };
    let kept = restore(&config.data_dir, &database, &args.file, ctx.now())
        .map_err(|error| shown(&error))?;
    let document = serde_json::json!({ "restored": args.file, "kept": kept });
    ctx.show(&document, |_| {
        let mut text = format!("Restored {}\n", args.file.display());
        if let Some(kept) = &kept {
            text.push_str(&format!("The database before it is {}\n", kept.display()));
        }
        text
    })?;
    Ok(Exit::Ok)
}
