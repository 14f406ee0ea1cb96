//! `freehold audit list`.

use serde_json::Value;

use crate::{
    api::{audit::AuditRow, paths},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, moment},
    },
    domain::audit::REQUEST,
    exit::Exit,
};

/// List what was done, by whom and when, oldest first
///
/// REQUEST is the request that asked for it, as the answer's `x-request-id` and the portal's log name it; what
/// the portal did by itself has none. Each entry's hash covers the one before it: `freehold audit verify` checks
/// them.
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
        let mut table = Table::new(["N", "WHEN", "WHO", "WHAT", "OBJECT", "REQUEST", "DETAIL"]);
        for row in rows {
            let mut detail = row.detail.clone();
            let request = detail.as_object_mut().and_then(|detail| detail.remove(REQUEST));
            table.row([
                row.n.to_string(),
                moment(row.at, now),
                row.actor.clone(),
                row.action.clone(),
                format!("{} {}", row.object_kind, row.object_id),
                request.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
                detail.to_string(),
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
