//! `freehold audit export`.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use super::log;
use crate::{
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Write the audit log as NDJSON: one entry a line, oldest first
///
/// `freehold audit verify --export FILE` shows later whether the portal still tells the same history.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold audit export --output audit-$(date +%F).ndjson
  freehold audit export --after 1200 | vector --config siem.toml")]
pub(crate) struct Args {
    /// Only entries with a higher number: what a former export ended with
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// The new file, readable by you alone; standard output when left out
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes page after page.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let Some(path) = &args.output else {
        log::of_portal(&client, args.after, |row| ctx.document_line(&row))?;
        return Ok(Exit::Ok);
    };
    let failed = |error: std::io::Error| {
        CliError::new(Exit::Failed, format!("{} cannot be written", path.display()))
            .because(&error)
            .hint("give the name of a new file: one that exists is never overwritten")
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = BufWriter::new(file.map_err(failed)?);
    let (mut count, mut last) = (0u64, args.after);
    log::of_portal(&client, args.after, |row| {
        (count, last) = (count + 1, row.n);
        serde_json::to_writer(&mut file, &row).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)
    })?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    let document = serde_json::json!({ "exported": path, "entries": count, "last": last });
    ctx.show(&document, |_| {
        format!("Wrote {count} entries, the last with number {last}, to {}\n", path.display())
    })?;
    Ok(Exit::Ok)
}
