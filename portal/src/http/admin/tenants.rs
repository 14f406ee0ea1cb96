//! `/api/v1/tenants`

use freehold_protocol::ids::TenantSlug;

use super::Context;
use crate::{
    api::{
        Page, paths,
        tenants::{
            CreateTenant, Credentials, DeployTenant, RemoveTenant, TenantCreated, TenantDisk,
            TenantView, UpdateTenant,
        },
    },
    app::{tenant_credentials::RevealCredentials, tenant_work, tenants as app},
    db::{
        Read,
        tenants::{self, TenantRow},
    },
    domain::disk,
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
        scope,
    },
};

fn view(row: TenantRow) -> TenantView {
    let credentials = if row.credentials_waiting {
        "waiting"
    } else if row.credentials_shown_at.is_some() {
        "shown"
    } else {
        "none"
    };
    let limit = row.disk_given_gb.map(disk::gib);
    let disk = row.disk.map(|disk| TenantDisk {
        used_bytes: disk.used_bytes,
        measured_at: disk.at,
        limit_bytes: limit,
        over: limit.is_some_and(|limit| disk.used_bytes > limit),
    });
    TenantView {
        id: row.id,
        slug: row.slug,
        name: row.name,
        domain: row.domain,
        host: row.host,
        blueprint: row.blueprint,
        release_wanted: row.release_wanted,
        release_deployed: row.release_deployed,
        status: row.status.as_str().to_owned(),
        settings: row.settings,
        admin_email: row.admin_email,
        admin_name: row.admin_name,
        onboarded: row.onboarded,
        certificate: row.certificate,
        license: row.license,
        endpoints: row.endpoints,
        ports: row.ports,
        health: row.health,
        disk,
        app_health: None,
        unknown_since: row.unknown_since,
        kept_volumes: row.kept_volumes,
        credentials: credentials.to_owned(),
        open_job: row.open_job,
        generation: row.generation,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
        removed_at: row.removed_at,
    }
}

fn answer(row: TenantRow) -> Result<Answer, AppError> {
    let generation = row.generation;
    Ok(Answer::ok(&view(row))?.generation(generation))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let known = ["limit", "cursor", "status", "host", "blueprint"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let (limit, after) = (query.limit()?, query.after("tenants")?);
    let filter = tenants::Filter {
        status: query.parsed("status")?,
        host: query.parsed("host")?,
        blueprint: query.parsed("blueprint")?,
        only: ctx.tenant(),
    };
    let page = ctx.read(|read: &Read<'_>| {
        let mut rows = tenants::list(read, &filter, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "tenants", |row| row.id.to_string());
        Ok(Page { items: rows.into_iter().map(view).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateTenant = input::body(ctx.request)?;
    let create = app::CreateTenant { request, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| {
        let (tenant, job) = create.apply(tx)?;
        let (path, generation) = (paths::tenant(&tenant.slug), tenant.generation);
        let created = TenantCreated { tenant: view(tenant), job };
        Ok(Answer::json(201, &created)?.location(path).generation(generation))
    })
}

pub(super) fn get(ctx: &Context<'_>, slug: &TenantSlug) -> Result<Answer, AppError> {
    let row = ctx.read(|read| app::find(read, slug))?;
    let (id, generation) = (row.id, row.generation);
    let view = TenantView { app_health: super::ingest::health(ctx, id)?, ..view(row) };
    Ok(Answer::ok(&view)?.generation(generation))
}

pub(super) fn update(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateTenant = input::body(ctx.request)?;
    if ctx.tenant().is_some() {
        refuse_portals_part(&request)?;
    }
    let update = app::UpdateTenant { slug, generation, request, actor: ctx.actor() };
    answer(ctx.write(move |tx| update.apply(tx))?)
}

/// What of a tenant whoever is limited to it may not change: an address, a certificate of the host or a
/// license could be somebody else's.
fn refuse_portals_part(request: &UpdateTenant) -> Result<(), AppError> {
    let given = [
        ("/domain", request.domain.is_some()),
        ("/certificate", request.certificate.is_some()),
        ("/license", request.license.is_some()),
    ];
    let refused = |error: AppError, (pointer, _): &(&str, bool)| {
        error.field(*pointer, "only somebody who looks after the whole portal may change it")
    };
    let beyond: Vec<_> = given.into_iter().filter(|(_, given)| *given).collect();
    if beyond.is_empty() {
        return Ok(());
    }
    Err(beyond.iter().fold(scope::beyond_tenant(), refused))
}

pub(super) fn delete(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    let generation = match ctx.request.head.get("if-match") {
        Some(_) => input::if_match(&ctx.request.head)?,
        None => None,
    };
    let forget = app::Forget { slug, generation, actor: ctx.actor() };
    ctx.write(move |tx| forget.apply(tx))?;
    Ok(Answer::no_content())
}

pub(super) fn deploy(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    let DeployTenant { release } = input::body_or_default(ctx.request)?;
    let deploy = tenant_work::Deploy { slug, release, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| super::jobs::accepted(tx, deploy.apply(tx)?))
}

pub(super) fn remove(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    let request: RemoveTenant = input::body(ctx.request)?;
    let remove = tenant_work::Remove { slug, request, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| super::jobs::accepted(tx, remove.apply(tx)?))
}

pub(super) fn check(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let check = tenant_work::Check { slug, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| super::jobs::accepted(tx, check.apply(tx)?))
}

pub(super) fn credentials(ctx: &Context<'_>, slug: TenantSlug) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let reveal = RevealCredentials { slug, actor: ctx.actor() };
    let keys = ctx.keys.clone();
    let (tenant, password) = ctx.write(move |tx| reveal.apply(tx, keys.master()))?;
    let credentials = Credentials {
        url: format!("https://{}/", tenant.domain),
        email: tenant.admin_email,
        password: password.expose().to_owned(),
    };
    Ok(Answer::ok(&credentials)?.secret())
}
