//! `/api/v1/licenses`

use std::collections::HashMap;

use freehold_protocol::ids::{BlueprintName, TenantId};

use super::Context;
use crate::{
    api::{
        Page,
        licenses::{
            Because, CreateLicense, LicenseCreated, LicenseKeyShown, LicenseView, RenewLicense,
            UpdateLicense,
        },
        paths,
    },
    app::{
        entitlement_input::{list as as_list, map, written},
        license_status::{Change, ChangeStatus},
        licenses as app, plans,
    },
    db::{
        Read,
        licenses::{self, LicenseRow},
        plans::PlanRow,
    },
    domain::ids::LicenseId,
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

fn view(read: &Read<'_>, row: LicenseRow) -> Result<LicenseView, AppError> {
    let plan = plans::find(read, &row.plan)?;
    view_of(read, row, &plan, None)
}

/// `only`: the one tenant that the reader may see of those that have the license.
fn view_of(
    read: &Read<'_>,
    row: LicenseRow,
    plan: &PlanRow,
    only: Option<TenantId>,
) -> Result<LicenseView, AppError> {
    let gives = row.overrides.apply(&plans::entitlement(plan));
    let now = read.now();
    let status = row.status.at(row.expires_at, now);
    // Noted as expired or not: it has been so since its end.
    let noted = status == row.status;
    let until = plan.expiry.worthless_at(row.expires_at);
    Ok(LicenseView {
        id: row.id,
        key_hint: row.key_hint,
        customer: row.customer,
        customer_name: row.customer_name,
        plan: row.plan,
        status: status.as_str().to_owned(),
        status_at: if noted { row.status_at } else { row.expires_at.unwrap_or(row.status_at) },
        status_reason: if noted { row.status_reason } else { String::new() },
        expires_at: row.expires_at,
        grace_until: until.filter(|until| row.expires_at.is_some_and(|end| *until > end)),
        products: as_list(&gives.products),
        features: as_list(&gives.features),
        limits: map(&gives.limits),
        overrides: written(&row.overrides),
        tenants: licenses::tenants(read, row.id, only)?,
        tenants_due_at: plan.expiry.tenants_due_at(status, row.status_at, row.expires_at),
        activated_at: row.activated_at,
        last_validated_at: row.last_validated_at,
        generation: row.generation,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn answer(view: &LicenseView) -> Result<Answer, AppError> {
    Ok(Answer::ok(view)?.generation(view.generation))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let known = ["limit", "cursor", "customer", "plan", "status"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let (limit, after) = (query.limit()?, query.after("licenses")?);
    let filter = licenses::Filter {
        customer: query.parsed("customer")?,
        plan: query.parsed("plan")?,
        status: query.parsed("status")?,
        of: ctx.tenant(),
    };
    let page = ctx.read(|read| {
        let mut rows = licenses::list(read, &filter, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "licenses", |row| row.id.to_string());
        // Many licenses have few plans.
        let mut of_name: HashMap<BlueprintName, PlanRow> = HashMap::new();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            if !of_name.contains_key(&row.plan) {
                of_name.insert(row.plan.clone(), plans::find(read, &row.plan)?);
            }
            let plan = &of_name[&row.plan];
            items.push(view_of(read, row, plan, ctx.tenant())?);
        }
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateLicense = input::body(ctx.request)?;
    let create = app::CreateLicense { request, actor: ctx.actor() };
    let keys = ctx.keys.clone();
    ctx.create(move |tx| {
        let (license, key) = create.apply(tx, keys.master())?;
        let created = LicenseCreated { license: view(tx, license)?, key: key.to_text() };
        let (path, generation) = (paths::license(created.license.id), created.license.generation);
        Ok(Answer::json(201, &created)?.location(path).generation(generation).secret())
    })
}

pub(super) fn get(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    let only = ctx.tenant();
    answer(&ctx.read(|read| {
        let row = app::find(read, id)?;
        let plan = plans::find(read, &row.plan)?;
        view_of(read, row, &plan, only)
    })?)
}

pub(super) fn update(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateLicense = input::body(ctx.request)?;
    let update = app::UpdateLicense { id, generation, request, actor: ctx.actor() };
    answer(&ctx.write(move |tx| view(tx, update.apply(tx)?))?)
}

fn change(ctx: &Context<'_>, id: LicenseId, change: Change) -> Result<Answer, AppError> {
    let change = ChangeStatus { id, change, actor: ctx.actor() };
    answer(&ctx.write(move |tx| view(tx, change.apply(tx)?))?)
}

pub(super) fn suspend(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    let Because { reason } = input::body(ctx.request)?;
    change(ctx, id, Change::Suspend(reason))
}

pub(super) fn reinstate(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    change(ctx, id, Change::Reinstate)
}

pub(super) fn renew(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    let renew: RenewLicense = input::body(ctx.request)?;
    change(ctx, id, Change::Renew(renew))
}

pub(super) fn revoke(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    let Because { reason } = input::body(ctx.request)?;
    change(ctx, id, Change::Revoke(reason))
}

pub(super) fn reveal(ctx: &Context<'_>, id: LicenseId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let reveal = app::RevealKey { id, actor: ctx.actor() };
    let keys = ctx.keys.clone();
    let key = ctx.write(move |tx| reveal.apply(tx, keys.master()))?;
    Ok(Answer::ok(&LicenseKeyShown { key: key.expose().to_owned() })?.secret())
}
