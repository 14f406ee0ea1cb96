//! `/api/v1/plans`

use freehold_protocol::ids::BlueprintName;

use super::Context;
use crate::{
    api::{
        Page, paths,
        plans::{CreatePlan, PlanView, Quotas, UpdatePlan},
    },
    app::{
        entitlement_input::{list as as_list, map},
        plans as app,
    },
    db::plans::{self, PlanRow},
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

fn view(row: PlanRow) -> PlanView {
    PlanView {
        name: row.name,
        title: row.title,
        products: as_list(&row.gives.products),
        features: as_list(&row.gives.features),
        limits: map(&row.gives.limits),
        max_users: row.max_users,
        max_api_keys: row.max_api_keys,
        quotas: Quotas {
            memory_mb: row.quotas.memory_mb,
            cpu_millis: row.quotas.cpu_millis,
            disk_gb: row.quotas.disk_gb,
        },
        expiry_strategy: row.expiry.strategy.as_str().to_owned(),
        grace_days: row.expiry.grace_days,
        licenses: row.licenses,
        archived_at: row.archived_at,
        generation: row.generation,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn answer(row: PlanRow) -> Result<Answer, AppError> {
    let generation = row.generation;
    Ok(Answer::ok(&view(row))?.generation(generation))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.after("plans")?);
    let page = ctx.read(|read| {
        let mut rows = plans::list(read, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "plans", |row| row.name.to_string());
        Ok(Page { items: rows.into_iter().map(view).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreatePlan = input::body(ctx.request)?;
    let create = app::CreatePlan { request, actor: ctx.actor() };
    ctx.create(move |tx| {
        let plan = create.apply(tx)?;
        let (path, generation) = (paths::plan(&plan.name), plan.generation);
        Ok(Answer::json(201, &view(plan))?.location(path).generation(generation))
    })
}

pub(super) fn get(ctx: &Context<'_>, name: &BlueprintName) -> Result<Answer, AppError> {
    answer(ctx.read(|read| app::find(read, name))?)
}

pub(super) fn update(ctx: &Context<'_>, name: BlueprintName) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdatePlan = input::body(ctx.request)?;
    let update = app::UpdatePlan { name, generation, request, actor: ctx.actor() };
    answer(ctx.write(move |tx| update.apply(tx))?)
}

pub(super) fn delete(ctx: &Context<'_>, name: BlueprintName) -> Result<Answer, AppError> {
    let generation = input::if_match_optional(&ctx.request.head)?;
    let delete = app::DeletePlan { name, generation, actor: ctx.actor() };
    ctx.write(move |tx| delete.apply(tx))?;
    Ok(Answer::no_content())
}

pub(super) fn archive(
    ctx: &Context<'_>,
    name: BlueprintName,
    to: app::Archiving,
) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let set = app::SetArchived { name, to, actor: ctx.actor() };
    answer(ctx.write(move |tx| set.apply(tx))?)
}
