//! `/api/v1/tenants/{slug}/logs` and `/usage`, and the health of an app in its tenant's view.

use freehold_protocol::{
    ids::{TenantId, TenantSlug},
    time::Timestamp,
};

use super::Context;
use crate::{
    api::{
        Page,
        ingest::{
            AppHealth, DEFAULT_LINES, LogLine, LogPage, MAX_CSV_ROWS, MAX_PAGE_LINES,
            MAX_SEARCH_BYTES, MAX_USAGE_DAYS, UsageDay, usage_csv,
        },
    },
    app::tenants,
    db::ingest::{
        health,
        logs::{self, Filter, LineRow, Order, Wanted},
        usage::{self, DayRow},
    },
    domain::ingest::{DAY_MILLIS, Level, MAX_METRIC, day},
    error::{AppError, Kind},
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

/// Rows of usage that are read at once for a table.
const CSV_STEP: u32 = 1_000;

fn refused(message: String) -> AppError {
    AppError::new(Kind::BadRequest, "bad_query", message)
}

fn tenant(ctx: &Context<'_>, slug: &TenantSlug) -> Result<TenantId, AppError> {
    Ok(ctx.read(|read| tenants::find(read, slug))?.id)
}

fn line(row: LineRow) -> LogLine {
    let LineRow { id, received_at, line } = row;
    LogLine {
        id,
        at: line.at,
        received_at,
        level: line.level.as_str().to_owned(),
        message: line.message,
        // It was JSON when it came; what it is now is shown whatever it is.
        context: line
            .context
            .map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))),
        user_id: line.user_id,
        ip: line.ip,
    }
}

/// A time of the query: RFC 3339 or milliseconds.
fn moment(query: &Query, name: &str) -> Result<Option<Timestamp>, AppError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(Some(Timestamp::from_millis(millis)));
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        refused(format!("{name} is \"{}\"", text.escape_debug()))
            .advice("use RFC 3339 (2026-11-28T23:15:00Z) or milliseconds since 1970")
    })?;
    Ok(Some(Timestamp::from_millis(at.as_millisecond())))
}

fn order(query: &Query) -> Result<Order, AppError> {
    match query.get("order") {
        None | Some("newest") => Ok(Order::Newest),
        Some("oldest") => Ok(Order::Oldest),
        Some(other) => Err(refused(format!("order is \"{}\"", other.escape_debug()))
            .advice("use newest or oldest")),
    }
}

fn filter(query: &Query) -> Result<Filter, AppError> {
    let text = query.get("text").filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > MAX_SEARCH_BYTES) {
        return Err(refused(format!("text is longer than {MAX_SEARCH_BYTES} bytes")));
    }
    Ok(Filter {
        from: moment(query, "from")?,
        to: moment(query, "to")?,
        level: query.parsed::<Level>("level")?,
        text: text.map(Wanted::new),
    })
}

/// The names of a list's cursors differ by order, so that none is taken for one of the other.
const fn list_of(order: Order) -> &'static str {
    match order {
        Order::Newest => "logs-newest",
        Order::Oldest => "logs-oldest",
    }
}

const TAIL: &str = "logs-tail";

/// `GET /api/v1/tenants/{slug}/logs`
pub(super) fn logs(ctx: &Context<'_>, slug: &TenantSlug) -> Result<Answer, AppError> {
    let known = ["from", "to", "level", "text", "order", "limit", "cursor", "after"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let limit = match query.number("limit", DEFAULT_LINES, MAX_PAGE_LINES)? {
        0 => return Err(refused("limit is 0".into()).advice(format!("use 1 to {MAX_PAGE_LINES}"))),
        limit => limit,
    };
    let (filter, order) = (filter(&query)?, order(&query)?);
    let after = query.after(list_of(order))?;
    let after = place(&after)?;
    let arrived = query.named("after", TAIL)?;
    let arrived: Option<u64> = arrived
        .map(|text| text.parse().map_err(|_| refused("after is not a tail of this log".into())))
        .transpose()?;
    if arrived.is_some() && (after.is_some() || query.get("order").is_some()) {
        return Err(refused("after cannot be had with cursor or order".into())
            .advice("after follows the order of arrival; leave the others out"));
    }
    let tenant = tenant(ctx, slug)?;
    let page = ctx.ingest.db().read(|read| {
        let tail = |id: u64| input::cursor(TAIL, &id.to_string());
        let last = logs::last_id(read)?;
        let Some(number) = read.number(tenant)? else {
            return Ok(LogPage { items: Vec::new(), next: None, tail: tail(last) });
        };
        if let Some(arrived) = arrived {
            let (lines, until) = logs::arrived(read, number, &filter, arrived, limit)?;
            let items = lines.into_iter().map(line).collect();
            // Lines of others count, too: one answer looks at a bounded number of them.
            let next = (until < last).then(|| tail(until));
            return Ok(LogPage { items, next, tail: tail(until) });
        }
        let found = logs::by_time(read, number, &filter, order, after, limit)?;
        let next = found
            .next
            .map(|(at, id)| input::cursor(list_of(order), &format!("{}:{id}", at.as_millis())));
        let items = found.lines.into_iter().map(line).collect();
        Ok(LogPage { items, next, tail: tail(last) })
    })?;
    Answer::ok(&page)
}

/// A place in the order of time, from a cursor.
fn place(key: &str) -> Result<Option<(Timestamp, u64)>, AppError> {
    if key.is_empty() {
        return Ok(None);
    }
    key.split_once(':')
        .and_then(|(at, id)| Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?)))
        .map(Some)
        .ok_or_else(|| refused("the cursor is not one of this list".into()))
}

fn day_text(day: i64) -> String {
    jiff::Timestamp::from_millisecond(day.saturating_mul(DAY_MILLIS))
        .map_or_else(|_| day.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn usage_day(row: DayRow) -> UsageDay {
    UsageDay {
        day: day_text(row.day),
        metric: row.metric,
        kind: row.kind,
        count: row.count,
        sum: row.sum,
        min: row.min,
        max: row.max,
        last: row.last,
        last_at: row.last_at,
    }
}

fn day_of(query: &Query, name: &str) -> Result<Option<i64>, AppError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let bad = || {
        refused(format!("{name} is \"{}\"", text.escape_debug())).advice("use a day: 2026-11-28")
    };
    let date: jiff::civil::Date = text.parse().map_err(|_| bad())?;
    let start: jiff::Timestamp = format!("{date}T00:00:00Z").parse().map_err(|_| bad())?;
    Ok(Some(day(Timestamp::from_millis(start.as_millisecond()))))
}

/// `GET /api/v1/tenants/{slug}/usage`
pub(super) fn usage(ctx: &Context<'_>, slug: &TenantSlug) -> Result<Answer, AppError> {
    let known = ["from", "to", "metric", "format", "limit", "cursor"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let to = day_of(&query, "to")?.unwrap_or_else(|| day(ctx.now()));
    let from = day_of(&query, "from")?.unwrap_or(to - 29);
    if from > to || to - from >= MAX_USAGE_DAYS {
        return Err(refused("from and to do not fit together".into()).advice(format!(
            "from is not after to, and both are less than {MAX_USAGE_DAYS} days apart"
        )));
    }
    let metric = query.get("metric").map(str::to_owned);
    if metric.as_ref().is_some_and(|name| name.len() > MAX_METRIC) {
        return Err(refused(format!("metric is longer than {MAX_METRIC} bytes")));
    }
    let is_csv = match query.get("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => {
            let message = format!("format is \"{}\"", other.escape_debug());
            return Err(refused(message).advice("use json or csv"));
        }
    };
    let limit = query.limit()?;
    let after = query.after("usage")?;
    let tenant = tenant(ctx, slug)?;
    let step = |after: &str, limit: u32| -> Result<Vec<DayRow>, AppError> {
        let mut parts = after.splitn(3, ':');
        let mut part = || parts.next().unwrap_or_default();
        let (day, kind, name) = (part(), part(), part());
        let day: i64 = if day.is_empty() {
            i64::MIN
        } else {
            day.parse().map_err(|_| refused("the cursor is not one of this list".into()))?
        };
        ctx.ingest.db().read(|read| match read.number(tenant)? {
            None => Ok(Vec::new()),
            Some(number) => {
                usage::days(read, number, (from, to), metric.as_deref(), (day, name, kind), limit)
            }
        })
    };
    let key = |row: &DayRow| format!("{}:{}:{}", row.day, row.kind, row.metric);
    if is_csv {
        let mut all: Vec<UsageDay> = Vec::new();
        let mut after = String::new();
        loop {
            let rows = step(&after, CSV_STEP)?;
            let is_last = rows.len() < CSV_STEP as usize;
            after = rows.last().map(key).unwrap_or_default();
            if all.len() + rows.len() > MAX_CSV_ROWS {
                let message = format!("these are more than {MAX_CSV_ROWS} rows of CSV");
                return Err(refused(message).advice("ask for fewer days or for one metric"));
            }
            all.extend(rows.into_iter().map(usage_day));
            if is_last {
                return Ok(Answer::csv(usage_csv(slug.as_str(), &all)));
            }
        }
    }
    let mut rows = step(&after, limit + 1)?;
    let next = input::next_page(&mut rows, limit, "usage", key);
    Answer::ok(&Page { items: rows.into_iter().map(usage_day).collect(), next })
}

/// What a tenant's app last said about itself.
pub(super) fn health(ctx: &Context<'_>, tenant: TenantId) -> Result<Option<AppHealth>, AppError> {
    let row = ctx.ingest.db().read(|read| match read.number(tenant)? {
        None => Ok(None),
        Some(number) => health::get(read, number),
    })?;
    Ok(row.map(|row| AppHealth {
        status: row.status,
        since: row.since,
        at: row.at,
        received_at: row.received_at,
        version: row.version,
        message: row.message,
        checks: serde_json::from_str(&row.checks).unwrap_or_default(),
    }))
}
