//! `freehold audit list`.

use crate::{
    api::{audit::AuditRow, paths},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, moment},
    },
    exit::Exit,
};

/// List what was done, by whom and when, oldest first
///
/// Each entry's hash covers the one before it: with --json they can be checked.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold audit list
  freehold audit list --after 1200 --json > audit.json")]
pub(crate) struct Args {
    /// Only entries with a higher number
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Most entries to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let query = vec![("after", args.after.to_string())];
    let rows: Vec<AuditRow> = ctx.client()?.pages(paths::AUDIT, &query, "after", args.limit)?;
    let now = ctx.now();
    ctx.entries(&rows, "there is no entry", |rows| {
        let mut table = Table::new(["N", "WHEN", "WHO", "WHAT", "OBJECT", "DETAIL"]);
        for row in rows {
            let detail = if row.detail.is_null() { String::new() } else { row.detail.to_string() };
            table.row([
                row.n.to_string(),
                moment(row.at, now),
                row.actor.clone(),
                row.action.clone(),
                format!("{} {}", row.object_kind, row.object_id),
                detail,
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
