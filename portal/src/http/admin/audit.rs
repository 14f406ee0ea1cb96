//! The audit log, and what vouches for it.

use super::Context;
use crate::{
    api::{
        Page,
        audit::{AuditRow, Checkpoint},
    },
    db::{audit, checkpoints},
    error::{AppError, Kind},
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

pub(super) fn entries(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["after", "limit"])?;
    let (limit, after) = (query.limit()?, query.parsed::<u64>("after")?.unwrap_or(0));
    if i64::try_from(after).is_err() {
        return Err(AppError::new(Kind::BadRequest, "bad_query", "after is no number of an entry"));
    }
    let page = ctx.read(|read| {
        let mut rows = audit::after(read, after, limit + 1)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = more.then(|| rows.last().map(|row| row.n.to_string())).flatten();
        let items = rows
            .into_iter()
            .map(|row| {
                Ok(AuditRow {
                    n: row.n,
                    at: row.at,
                    actor: row.actor,
                    action: row.action,
                    object_kind: row.object_kind,
                    object_id: row.object_id,
                    detail: serde_json::from_str(&row.detail)?,
                    prev_hash: row.prev_hash,
                    hash: row.hash,
                })
            })
            .collect::<Result<_, AppError>>()?;
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}

pub(super) fn checkpoints(ctx: &Context<'_>) -> Result<Answer, AppError> {
    const LIST: &str = "checkpoints";
    let query = Query::parse(&ctx.request.head, &["cursor", "limit"])?;
    let limit = query.limit()?;
    let place = match query.named("cursor", LIST)? {
        Some(key) => Some(key.parse().map_err(|_| input::not_a_cursor())?),
        None => None,
    };
    let page = ctx.read(|read| {
        let (rows, more) = checkpoints::before(read, place, limit)?;
        let last = more.then(|| rows.last()).flatten();
        let next = last.map(|row| input::cursor(LIST, &row.place.to_string()));
        let items = rows
            .into_iter()
            .map(|row| {
                Ok(Checkpoint {
                    host: row.host,
                    report_key: row.report_key.key()?,
                    job: row.job,
                    report: row.report,
                })
            })
            .collect::<Result<_, AppError>>()?;
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}
