//! `freehold db check`.

use std::path::PathBuf;

use super::shown;
use crate::{
    cli::{context::Ctx, error::CliError, output::clean, serve::ConfigArgs},
    db::backup::check,
    exit::Exit,
};

/// Check a database: its structure, its references and the audit log's hashes
///
/// The exit code is 1 when something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold db check
  freehold db check --file /var/backups/freehold-2026-11-28.db")]
pub(crate) struct Args {
    /// A backup to check in place of the portal's own database
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Checks.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let database = match &args.file {
        Some(file) => file.clone(),
        None => args.config.load()?.database(),
    };
    let findings = check(&database).map_err(|error| shown(&error))?;
    let document = serde_json::json!({ "database": database, "findings": findings });
    ctx.show(&document, |_| {
        findings.iter().map(|finding| format!("{}\n", clean(finding))).collect()
    })?;
    if findings.is_empty() {
        ctx.note(format_args!("{} is sound", database.display()));
        return Ok(Exit::Ok);
    }
    Err(CliError::new(Exit::Failed, format!("{} is damaged", database.display()))
        .hint("restore the last good backup with `freehold db restore FILE`"))
}
