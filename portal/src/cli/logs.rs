//! `freehold logs`: what a tenant's app has written.

use std::{thread, time::Duration};

use freehold_protocol::{ids::TenantSlug, time::Timestamp};

use super::{
    context::Ctx,
    error::CliError,
    output::clean,
    parse::since,
    remote::{Client, Query},
};
use crate::{
    api::{
        ingest::{LogLine, LogPage, MAX_PAGE_LINES},
        paths,
    },
    domain::ingest::Level,
    exit::Exit,
};

/// Lines that are shown when neither --since nor --limit is given.
const LAST: u32 = 100;
/// Most lines that are shown when --since is given without --limit.
const MOST: u32 = 10_000;
/// Pause between two looks at what is new.
const LOOK: Duration = Duration::from_secs(1);
/// Longest pause while the portal is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Show and follow the log of a tenant's app
///
/// The newest lines are shown, the oldest of them first. Times are UTC.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold logs acme
  freehold logs acme --since 2h --level warn
  freehold logs acme --since 2026-11-28 --until 2026-11-29 --grep 'payment failed'
  freehold logs acme --follow --json | jq -r .message")]
pub(crate) struct Args {
    /// The tenant
    tenant: TenantSlug,
    /// Not before: a length of time back (30m, 2h, 7d), a day (its start), or a time (RFC 3339)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<When>,
    /// Not after: the same
    #[arg(long, value_name = "WHEN", value_parser = since)]
    until: Option<When>,
    /// At least this grave: trace, debug, info, warn, error or fatal
    #[arg(long, value_name = "LEVEL", value_parser = |text: &str| text.parse::<Level>())]
    level: Option<Level>,
    /// Only lines with this text in message, context, user or address, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Most lines to show, the newest (100; with --since 10000)
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on with lines as they arrive, until Ctrl-C
    #[arg(long, short = 'f', conflicts_with = "until")]
    follow: bool,
}

pub(crate) use super::parse::When;

/// Shows them.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let now = ctx.now();
    let mut query: Query<'_> = Vec::new();
    let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
    let millis = |when: &When| when.at(now).as_millis().to_string();
    add("from", args.since.as_ref().map(millis));
    add("to", args.until.as_ref().map(millis));
    add("level", args.level.map(|level| level.to_string()));
    add("text", args.grep.clone());
    let most = args.limit.unwrap_or(if args.since.is_some() { MOST } else { LAST });
    let (lines, tail) = newest(&client, args, &query, most)?;
    if lines.is_empty() && !args.follow {
        ctx.note("there is no such line");
    }
    for line in lines.iter().rev() {
        print(ctx, line)?;
    }
    if args.follow { follow(&client, args, query, tail, ctx) } else { Ok(Exit::Ok) }
}

/// The newest lines that fit, the newest first, and where to go on with what arrives.
fn newest(
    client: &Client,
    args: &Args,
    query: &Query<'_>,
    most: u32,
) -> Result<(Vec<LogLine>, String), CliError> {
    let path = paths::tenant_logs(&args.tenant);
    let mut lines: Vec<LogLine> = Vec::new();
    let (mut tail, mut cursor) = (None, None::<String>);
    loop {
        let missing = (most as usize - lines.len()).min(MAX_PAGE_LINES as usize);
        let mut query = query.clone();
        query.push(("limit", missing.to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page: LogPage = client.get(&path, &query)?;
        lines.extend(page.items);
        // What arrives while pages are read is new, and shown by --follow.
        let tail = tail.get_or_insert(page.tail);
        match page.next {
            Some(next) if lines.len() < most as usize => cursor = Some(next),
            _ => return Ok((lines, tail.clone())),
        }
    }
}

/// Shows what arrives, over restarts of the portal, until the program is ended.
fn follow(
    client: &Client,
    args: &Args,
    mut query: Query<'_>,
    mut tail: String,
    ctx: &mut Ctx,
) -> Result<Exit, CliError> {
    let path = paths::tenant_logs(&args.tenant);
    query.push(("limit", MAX_PAGE_LINES.to_string()));
    let mut pause = LOOK;
    let mut is_away = false;
    loop {
        let mut asked = query.clone();
        asked.push(("after", tail.clone()));
        match client.get_once::<LogPage>(&path, &asked, Duration::ZERO) {
            Ok(page) => {
                if is_away {
                    ctx.note("The portal answers again.");
                }
                (is_away, pause) = (false, LOOK);
                for line in &page.items {
                    print(ctx, line)?;
                }
                tail = page.tail;
                // More has arrived than one answer looks at.
                if page.next.is_some() {
                    continue;
                }
            }
            Err(error) if error.may_pass() => {
                if !is_away {
                    ctx.note(format_args!("{error}; trying again"));
                }
                is_away = true;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
        thread::sleep(pause);
    }
}

fn print(ctx: &mut Ctx, line: &LogLine) -> Result<(), CliError> {
    if ctx.json { ctx.document_line(line) } else { ctx.line(text(line)) }
}

/// `2026-11-28 23:15:00.123 ERROR payment failed {"order":7} user=u-1 ip=203.0.113.9`
fn text(line: &LogLine) -> String {
    let mut text =
        format!("{} {:5} {}", time(line.at), line.level.to_uppercase(), clean(&line.message));
    if let Some(context) = &line.context {
        text.push(' ');
        text.push_str(&clean(&context.to_string()));
    }
    for (name, value) in [("user", &line.user_id), ("ip", &line.ip)] {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={}", clean(value)));
        }
    }
    text
}

fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_it_holds() {
        let at = Timestamp::from_millis(1_795_886_435_678);
        let line = LogLine {
            id: 1,
            at,
            received_at: at,
            level: "warn".into(),
            message: "a\nb\u{1b}[31m".into(),
            context: Some(json!({ "order": 7 })),
            user_id: Some("u-1".into()),
            ip: None,
        };
        let text = text(&line);
        assert!(text.starts_with("2026-11-28 17:20:35.678 WARN  a"), "{text}");
        assert!(text.ends_with("{\"order\":7} user=u-1"), "{text}");
        assert!(!text.contains(['\n', '\u{1b}']), "{text}");
    }
}
