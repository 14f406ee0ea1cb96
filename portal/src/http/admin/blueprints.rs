//! `/api/v1/blueprints`

use freehold_protocol::ids::BlueprintName;

use super::Context;
use crate::{
    api::{
        Page,
        blueprints::{
            BlueprintDetail, BlueprintView, PublishBlueprint, ReleaseDetail, ReleaseView,
        },
        paths,
    },
    app::blueprints::{PublishRelease, Published},
    db::blueprints::{self, ReleaseRow},
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

/// Most releases in one answer; older ones are read by number.
const MAX_RELEASES_SHOWN: u32 = 500;

fn view(row: ReleaseRow) -> ReleaseView {
    ReleaseView {
        id: row.id,
        blueprint: row.blueprint,
        number: row.number,
        digest: row.digest,
        note: row.notes,
        created_by: row.created_by,
        created_at: row.created_at,
    }
}

pub(super) fn publish(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let PublishBlueprint { name, source, note } = input::body(ctx.request)?;
    let publish = PublishRelease::parse(name.as_deref(), source, note, ctx.actor())?;
    ctx.create(move |tx| {
        let (status, release) = match publish.apply(tx)? {
            Published::New(release) => (201, release),
            Published::Same(release) => (200, release),
        };
        let path = paths::release(&release.blueprint, release.number);
        Ok(Answer::json(status, &view(release))?.location(path))
    })
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.after("blueprints")?);
    let page = ctx.read(|read| {
        let mut rows = blueprints::list(read, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "blueprints", |row| row.0.to_string());
        let mut items = Vec::with_capacity(rows.len());
        for (name, created_at) in rows {
            // A blueprint is written in one transaction with its first release.
            let Some(latest) = blueprints::latest(read, &name)? else { continue };
            let tenants = blueprints::tenants_using(read, &name)?;
            items.push(BlueprintView { name, latest: view(latest), tenants, created_at });
        }
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}

pub(super) fn get(ctx: &Context<'_>, name: &BlueprintName) -> Result<Answer, AppError> {
    let detail = ctx.read(|read| {
        let created_at = blueprints::created_at(read, name)?
            .ok_or_else(|| AppError::not_found("blueprint", name))?;
        let releases = blueprints::releases(read, name, MAX_RELEASES_SHOWN)?;
        Ok(BlueprintDetail {
            name: name.clone(),
            releases: releases.into_iter().map(view).collect(),
            tenants: blueprints::tenants_using(read, name)?,
            created_at,
        })
    })?;
    Answer::ok(&detail)
}

pub(super) fn release(
    ctx: &Context<'_>,
    name: &BlueprintName,
    number: u32,
) -> Result<Answer, AppError> {
    let detail = ctx.read(|read| {
        let release = blueprints::release(read, name, number)?
            .ok_or_else(|| AppError::not_found("release", format!("{name}:{number}")))?;
        let (source, model) = blueprints::content(read, name, number)?;
        Ok(ReleaseDetail { release: view(release), source, model })
    })?;
    Answer::ok(&detail)
}
