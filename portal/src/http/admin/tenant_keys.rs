//! `/api/v1/tenants/{slug}/keys`

use freehold_protocol::{ids::TenantSlug, secret::Secret, time::Timestamp};

use super::Context;
use crate::{
    api::{
        Page, paths,
        tenant_keys::{TenantKeyCreated, TenantKeyView},
    },
    app::{tenant_keys as app, tenants},
    db::{
        Tx,
        tenant_keys::{self, TenantKeyRow},
    },
    domain::ids::TenantKeyId,
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

fn view(row: &TenantKeyRow, now: Timestamp) -> TenantKeyView {
    TenantKeyView {
        id: row.id,
        hint: format!("{}…{}", row.prefix, row.last4),
        state: app::state(row, now).to_owned(),
        delivery: row
            .delivered
            .then(|| if row.delivered_at.is_some() { "done" } else { "pending" }.to_owned()),
        replaces: row.replaces,
        created_by: row.created_by.clone(),
        created_at: row.created_at,
        valid_until: row.valid_until,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }
}

pub(super) fn list(ctx: &Context<'_>, slug: &TenantSlug) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.after("tenant_keys")?);
    let page = ctx.read(|read| {
        let tenant = tenants::find(read, slug)?;
        let mut rows = tenant_keys::list(read, tenant.id, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "tenant_keys", |row| row.id.to_string());
        Ok(Page { items: rows.iter().map(|row| view(row, read.now())).collect(), next })
    })?;
    Answer::ok(&page)
}

fn made(tx: &Tx<'_>, slug: &TenantSlug, made: (TenantKeyRow, Secret)) -> Result<Answer, AppError> {
    let (key, secret) = made;
    let secret = Some(secret.expose().to_owned());
    let created = TenantKeyCreated { key: view(&key, tx.now()), secret, job: None };
    Ok(Answer::json(201, &created)?.location(paths::tenant_key(slug, key.id)).secret())
}

pub(super) fn create(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let create = app::CreateTenantKey { slug: slug.clone(), actor: ctx.actor() };
    let keys = ctx.keys.clone();
    ctx.create(move |tx| made(tx, &slug, create.apply(tx, keys.master())?))
}

pub(super) fn rotate(
    ctx: &Context<'_>,
    slug: TenantSlug,
    id: TenantKeyId,
) -> Result<Answer, AppError> {
    let request = input::body_or_default(ctx.request)?;
    let rotate =
        app::RotateKey { slug: slug.clone(), id, request, actor: ctx.actor(), rules: ctx.rules };
    let keys = ctx.keys.clone();
    ctx.create(move |tx| match rotate.apply(tx, keys.master())? {
        app::Rotated::Shown(key, secret) => made(tx, &slug, (key, secret)),
        app::Rotated::Delivered(key, job) => {
            let key = view(&key, tx.now());
            let location = paths::tenant_key(&slug, key.id);
            let created = TenantKeyCreated { key, secret: None, job: Some(job) };
            Ok(Answer::json(201, &created)?.location(location))
        }
    })
}

pub(super) fn revoke(
    ctx: &Context<'_>,
    slug: TenantSlug,
    id: TenantKeyId,
) -> Result<Answer, AppError> {
    let revoke = app::RevokeTenantKey { slug, id, actor: ctx.actor() };
    ctx.write(move |tx| revoke.apply(tx))?;
    Ok(Answer::no_content())
}
