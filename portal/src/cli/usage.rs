//! `freehold usage`: what a tenant has used, per day.

use freehold_protocol::{ids::TenantSlug, time::Timestamp};

use super::{context::Ctx, error::CliError, output::Table, parse::When, parse::since};
use crate::{
    api::{
        ingest::{UsageDay, usage_csv},
        paths,
    },
    exit::Exit,
};

/// Show what a tenant has used, per day and metric
///
/// Of a counter the sum counts, of a gauge the latest value. Days are UTC.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold usage acme
  freehold usage acme --from 2026-11-01 --to 2026-11-30 --csv > acme-2026-11.csv
  freehold usage acme --from 90d --metric api.requests --json")]
pub(crate) struct Args {
    /// The tenant
    tenant: TenantSlug,
    /// First day, or a length of time back (90d); 30 days back when left out
    #[arg(long, value_name = "DAY", value_parser = since)]
    from: Option<When>,
    /// Last day; today when left out
    #[arg(long, value_name = "DAY", value_parser = since)]
    to: Option<When>,
    /// Only this metric
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Print CSV (RFC 4180), for spreadsheets and billing
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let now = ctx.now();
    let mut query = Vec::new();
    query.extend(args.from.as_ref().map(|when| ("from", day(when.at(now)))));
    query.extend(args.to.as_ref().map(|when| ("to", day(when.at(now)))));
    query.extend(args.metric.clone().map(|metric| ("metric", metric)));
    let days: Vec<UsageDay> = client.list(&paths::tenant_usage(&args.tenant), &query, None)?;
    if args.csv {
        ctx.text(&usage_csv(args.tenant.as_str(), &days))?;
        return Ok(Exit::Ok);
    }
    ctx.entries(&days, "there is no usage in these days", table)?;
    Ok(Exit::Ok)
}

fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn table(days: &[UsageDay]) -> Table {
    let mut table = Table::new(["DAY", "METRIC", "KIND", "VALUE", "MIN", "MAX", "COUNT"]);
    for day in days {
        let value = if day.kind == "gauge" { day.last } else { day.sum };
        table.row([
            day.day.clone(),
            day.metric.clone(),
            day.kind.clone(),
            value.to_string(),
            day.min.to_string(),
            day.max.to_string(),
            day.count.to_string(),
        ]);
    }
    table
}
