//! `freehold db check`.

use std::path::PathBuf;

use super::shown;
use crate::{
    cli::{context::Ctx, error::CliError, output::clean, serve::ConfigArgs},
    db::backup::check,
    exit::Exit,
};

/// Check the databases: structure, references and the audit log's hashes
///
/// Looks at the portal's database and at that of logs and usage, if it is there.
///
/// The exit code is 1 when something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold db check
  freehold db check --file /var/backups/freehold-2026-11-28.db")]
pub(crate) struct Args {
    /// A backup to check in place of the portal's own databases
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Checks.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let databases = match &args.file {
        Some(file) => vec![file.clone()],
        None => {
            let config = args.config.load()?;
            let ingest = Some(config.ingest_database()).filter(|path| path.exists());
            std::iter::once(config.database()).chain(ingest).collect()
        }
    };
    let mut documents = Vec::new();
    let mut damaged = Vec::new();
    for database in &databases {
        let findings = check(database).map_err(|error| shown(&error))?;
        if findings.is_empty() {
            ctx.note(format_args!("{} is sound", database.display()));
        } else {
            damaged.push(database);
        }
        if !ctx.json {
            for finding in &findings {
                ctx.line(clean(finding))?;
            }
        }
        documents.push(serde_json::json!({ "database": database, "findings": findings }));
    }
    if ctx.json {
        let mut documents = documents.into_iter();
        let mut document = documents.next().unwrap_or_default();
        if let Some(ingest) = documents.next() {
            document["ingest"] = ingest;
        }
        ctx.document(&document)?;
    }
    let Some(first) = damaged.first() else { return Ok(Exit::Ok) };
    Err(CliError::new(Exit::Failed, format!("{} is damaged", first.display()))
        .hint("restore the last good backup with `freehold db restore FILE`")
        .hint("a damaged ingest.db can be moved away: it is made anew, without the logs until now"))
}
